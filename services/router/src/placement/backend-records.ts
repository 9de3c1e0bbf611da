import { type Bus, backendKey, ConflictError, instancePrefix, protoValue, type Table } from '@spectrum/bus'
import { Backend } from '@spectrum/messages'

/** The records that say which backends are to be run. Written by the leading router alone. */
export class BackendRecords {
  readonly #table: Table<Backend>
  readonly #instance: string
  readonly #capacity: number

  constructor(bus: Bus, instance: string, capacity: number) {
    this.#table = bus.table('backends', protoValue(Backend))
    this.#instance = instance
    this.#capacity = capacity
  }

  /** All there are; their capacity is brought up to date. */
  async load(): Promise<Backend[]> {
    const found: Backend[] = []
    for await (const { key, value, revision } of this.#table.list(instancePrefix(this.#instance))) {
      if (value.capacity !== this.#capacity)
        await this.#table.update(key, { ...value, capacity: this.#capacity }, revision)
      found.push(value)
    }
    return found.sort((one, other) => one.number - other.number)
  }

  /** Has the backend run. Changes nothing when there is one of this number. */
  async create(number: number, kind: { isLongRun: boolean; isRetired?: boolean }): Promise<Backend> {
    const record = Backend.create({ number, capacity: this.#capacity, ...kind })
    try {
      await this.#table.create(backendKey(this.#instance, number), record)
      return record
    } catch (error) {
      if (!(error instanceof ConflictError)) throw error
      return (await this.#table.get(backendKey(this.#instance, number)))?.value ?? record
    }
  }

  /** Writes down that it gets no new users, and is to be removed when it is empty. */
  async retire(number: number): Promise<void> {
    const key = backendKey(this.#instance, number)
    const entry = await this.#table.get(key)
    if (entry && !entry.value.isRetired)
      await this.#table.update(key, { ...entry.value, isRetired: true }, entry.revision)
  }

  /** Whoever runs it lets go of it. */
  async remove(number: number): Promise<void> {
    await this.#table.delete(backendKey(this.#instance, number))
  }
}
