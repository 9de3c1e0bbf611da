import { constraintOf, type Database, inTime } from './database.ts'

/** One entry of a stored contact list. */
export interface StoredContact {
  readonly name: string
  readonly alias: string
  readonly groups: readonly string[]
}

/** The contacts of an instance's users. Every method rejects StoreUnavailableError when the database is away. */
export class Contacts {
  readonly #database: Database
  readonly #instance: string

  constructor(database: Database, instance: string) {
    this.#database = database
    this.#instance = instance
  }

  /** In the order of their names. */
  async list(user: string): Promise<StoredContact[]> {
    const where = { instance: this.#instance, user }
    const rows = await inTime(this.#database.client.contact.findMany({ where, orderBy: { name: 'asc' } }))
    return rows.map(({ name, alias, groups }) => ({ name, alias, groups: parseGroups(groups) }))
  }

  /** Stores and removes in one transaction. False, and nothing is stored, when the user has no account (any more). */
  async save(user: string, contacts: readonly StoredContact[], removed: readonly string[] = []): Promise<boolean> {
    const { contact, account } = this.#database.client
    const instance = this.#instance
    if ((await inTime(account.count({ where: { instance, user } }))) === 0) return false
    try {
      await inTime(
        this.#database.client.$transaction([
          contact.deleteMany({ where: { instance, user, name: { in: [...removed] } } }),
          ...contacts.map(({ name, alias, groups }) => {
            const change = { alias, groups: JSON.stringify(groups) }
            return contact.upsert({
              where: { instance_user_name: { instance, user, name } },
              create: { instance, user, name, ...change },
              update: change,
            })
          }),
        ]),
      )
      return true
    } catch (error) {
      // The account went between the question and the transaction.
      if (constraintOf(error) === 'reference') return false
      throw error
    }
  }
}

function parseGroups(json: string): string[] {
  const groups: unknown = JSON.parse(json)
  return Array.isArray(groups) ? groups.filter(group => typeof group === 'string') : []
}
