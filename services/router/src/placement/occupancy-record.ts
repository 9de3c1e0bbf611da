import { backendKey, ConflictError, type Table } from '@spectrum/bus'
import type { Occupancy as OccupancyRecord } from '@spectrum/messages'
import type { Logger } from '@spectrum/network'

/** What all counts of a term share. */
export interface CountKeeping {
  readonly table: Table<OccupancyRecord>
  readonly instance: string
  readonly log: Logger
  /** How many users sit on the backend, as the leader counts now. */
  usersOn(backend: number): number
  /** False while placements are counted anew: then nothing is settled. */
  isSure(): boolean
  /** @throws NetworkError `unavailable` when somebody else leads */
  assertLeading(): void
  onFenced(): void
}

const settleMs = 250

/**
 * The durable count of one backend. It never says fewer users than there are placements: it is raised before a placement
 * is written, and lowered some time after one was removed. While changes are under way it says that it is not settled.
 */
export class BackendCount {
  readonly backend: number
  readonly #keeping: CountKeeping
  #changing = 0
  #written: OccupancyRecord
  /** 0: there is no record yet. */
  #revision: number
  #writing: Promise<void> | undefined
  #settling: NodeJS.Timeout | undefined
  #isClosed = false

  /** @param record what the table holds; a backend without a record was never counted, or the table was lost */
  constructor(keeping: CountKeeping, backend: number, record?: { value: OccupancyRecord; revision: number }) {
    this.#keeping = keeping
    this.backend = backend
    this.#written = record?.value ?? { users: 0, isSettled: false }
    this.#revision = record?.revision ?? 0
  }

  /** What is written is exact. */
  get isSettled(): boolean {
    return this.#written.isSettled
  }

  /** Somebody comes or leaves at this moment. */
  get isChanging(): boolean {
    return this.#changing > 0
  }

  changeBegins(): void {
    this.#changing++
  }

  changeEnds(): void {
    this.#changing--
    this.settleSoon()
  }

  /** Fulfils when the record says that changes are under way, and no fewer users than we count. */
  async cover(): Promise<void> {
    while (this.#revision === 0 || this.#written.isSettled || this.#written.users < this.#users) await this.#write()
  }

  /** Writes the exact count when nothing has changed for a while. */
  settleSoon(): void {
    if (this.#changing > 0 || this.#settling || this.#isClosed) return
    this.#settling = setTimeout(() => void this.settle(), settleMs)
    this.#settling.unref()
  }

  async settle(): Promise<void> {
    clearTimeout(this.#settling)
    this.#settling = undefined
    if (this.#changing > 0 || (this.#written.isSettled && this.#written.users === this.#users)) return
    try {
      await this.#write()
      if (!this.#written.isSettled) this.settleSoon()
    } catch (error) {
      // The record stays unsettled, which is safe: whoever leads next counts anew.
      const { log } = this.#keeping
      log.warn({ err: error, backend: this.backend }, 'the users of a backend could not be written down')
    }
  }

  /** Writes what is not settled yet, once more; nothing later. */
  async close(): Promise<void> {
    this.#isClosed = true
    if (this.#settling) await this.settle()
  }

  /** Removes the record, with its backend. */
  async remove(): Promise<void> {
    this.#isClosed = true
    clearTimeout(this.#settling)
    const { table, instance } = this.#keeping
    if (this.#revision > 0) await table.delete(backendKey(instance, this.backend), this.#revision)
  }

  get #users(): number {
    return this.#keeping.usersOn(this.backend)
  }

  #write(): Promise<void> {
    this.#writing ??= this.#writeNow().finally(() => {
      this.#writing = undefined
    })
    return this.#writing
  }

  async #writeNow(): Promise<void> {
    const { table, instance, isSure, assertLeading, onFenced } = this.#keeping
    assertLeading()
    const key = backendKey(instance, this.backend)
    const value = { users: this.#users, isSettled: this.#changing === 0 && isSure() }
    try {
      this.#revision =
        this.#revision === 0 ? await table.create(key, value) : await table.update(key, value, this.#revision)
      this.#written = value
    } catch (error) {
      if (!(error instanceof ConflictError)) throw error
      // The leader before us had a write on its way, or we are no longer the leader: then the next check says so.
      onFenced()
      const entry = await table.get(key)
      this.#revision = entry?.revision ?? 0
      if (entry) this.#written = entry.value
    }
  }
}
