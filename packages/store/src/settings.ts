import { constraintOf, type Database, inTime } from './database.ts'

/** What the users of an instance chose. Every method rejects StoreUnavailableError when the database is away. */
export class Settings {
  readonly #database: Database
  readonly #instance: string

  constructor(database: Database, instance: string) {
    this.#database = database
    this.#instance = instance
  }

  /** All settings of a user, by name; empty where nothing was chosen. */
  async all(user: string): Promise<Record<string, string>> {
    const rows = await inTime(this.#database.client.setting.findMany({ where: { instance: this.#instance, user } }))
    return Object.fromEntries(rows.map(({ name, value }) => [name, value]))
  }

  /** False, and nothing is stored, when the user has no account. */
  async set(user: string, name: string, value: string): Promise<boolean> {
    const instance = this.#instance
    try {
      await inTime(
        this.#database.client.setting.upsert({
          where: { instance_user_name: { instance, user, name } },
          create: { instance, user, name, value },
          update: { value },
        }),
      )
      return true
    } catch (error) {
      if (constraintOf(error) === 'reference') return false
      throw error
    }
  }

  async remove(user: string, name: string): Promise<void> {
    await inTime(this.#database.client.setting.deleteMany({ where: { instance: this.#instance, user, name } }))
  }
}
