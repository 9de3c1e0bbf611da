import { setTimeout as delay } from 'node:timers/promises'
import {
  type Bus,
  backendKey,
  ConflictError,
  instancePrefix,
  numberOfKey,
  protoValue,
  type Table,
  userOfKey,
} from '@spectrum/bus'
import { Backend, Occupancy as OccupancyRecord, Placement } from '@spectrum/messages'
import { type Logger, NetworkError } from '@spectrum/network'

/** One backend, as the leader counts. */
interface Count {
  readonly backend: number
  /** Gets no new users. */
  readonly isRetired: boolean
  users: number
  /** Changes under way: while there are any, the record says that it is not settled. */
  changing: number
  written: OccupancyRecord
  /** 0: there is no record yet. */
  revision: number
  writing?: Promise<void> | undefined
  settling?: NodeJS.Timeout | undefined
}

export interface OccupancyOptions {
  readonly bus: Bus
  readonly instance: string
  readonly usersPerBackend: number
  readonly log: Logger
  /** False once somebody else leads: nothing is written then. */
  readonly mayAct: () => boolean
  readonly onRecount: () => void
  readonly onFenced: () => void
}

const settleMs = 250
const recountPauseMs = 1_000

/**
 * How many users sit on each backend, in the leader's memory and in one record for each backend. A record never says
 * fewer than there are placements: it is raised before a placement is written and lowered after one is removed. A new
 * leader reads the records alone; only if the one before died in mid-change does it count the placements, once, while
 * it works already.
 */
export class Occupancy implements AsyncDisposable {
  readonly #options: OccupancyOptions
  readonly #records: Table<OccupancyRecord>
  readonly #backends: Table<Backend>
  readonly #counts: Count[] = []
  /** No backend before this place in `#counts` has room. */
  #firstFree = 0
  #adding: Promise<void> | undefined
  /** Users whose change is under way, and the backend that they are counted on meanwhile. */
  readonly #underWay = new Map<string, number>()
  /** Where users are who moved since a recount began; undefined: nowhere. */
  #moved: Map<string, number | undefined> | undefined
  #isDoubtful = false
  #recounting: Promise<void> | undefined
  readonly #stopping = new AbortController()

  private constructor(options: OccupancyOptions) {
    this.#options = options
    this.#records = options.bus.table('occupancy', protoValue(OccupancyRecord))
    this.#backends = options.bus.table('backends', protoValue(Backend))
  }

  /** Reads what is there; makes backend 0, so that a worker has something to run and tells what the network can do. */
  static async load(options: OccupancyOptions): Promise<Occupancy> {
    const occupancy = new Occupancy(options)
    await occupancy.#load()
    return occupancy
  }

  get users(): number {
    return this.#counts.reduce((sum, count) => sum + count.users, 0)
  }

  get backends(): number {
    return this.#counts.length
  }

  /**
   * Chooses the first backend with room for the user, or makes one, and counts the user there; fulfils when that is
   * durable. {@link end} must follow.
   */
  async begin(user: string): Promise<number> {
    const count = await this.#takePlace(user)
    try {
      await this.#cover(count)
    } catch (error) {
      this.end(user, count.backend, undefined, -1)
      throw error
    }
    return count.backend
  }

  /** Announces that the user may leave the backend; fulfils when that is durable. {@link end} must follow. */
  async beginLeaving(user: string, backend: number): Promise<void> {
    const count = this.#find(backend)
    if (!count) return
    this.#begun(user, count)
    try {
      await this.#cover(count)
    } catch (error) {
      this.end(user, backend, backend, 0)
      throw error
    }
  }

  /**
   * @param now the backend that the user sits on after the change; undefined: none
   * @param change what to add to the backend's count: 0, or -1 when the user is not there (any more)
   */
  end(user: string, backend: number, now: number | undefined, change: 0 | -1): void {
    const count = this.#find(backend)
    if (!count) return
    count.users = Math.max(0, count.users + change)
    count.changing--
    this.#underWay.delete(user)
    this.#moved?.set(user, now)
    if (count.users < this.#options.usersPerBackend)
      this.#firstFree = Math.min(this.#firstFree, this.#counts.indexOf(count))
    this.#settleSoon(count)
  }

  /** Says that a change may or may not have been written: placements are counted anew soon. */
  doubt(): void {
    this.#isDoubtful = true
    this.#recounting ??= this.#recount().finally(() => {
      this.#recounting = undefined
    })
  }

  /** Writes what is not settled yet. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#stopping.abort()
    await this.#recounting
    const settling = this.#counts.filter(count => count.settling)
    for (const count of settling) clearTimeout(count.settling)
    await Promise.all(settling.map(count => this.#settle(count)))
  }

  async #load(): Promise<void> {
    const { instance, usersPerBackend } = this.#options
    const prefix = instancePrefix(instance)
    const records = new Map<number, { value: OccupancyRecord; revision: number }>()
    for await (const { key, value, revision } of this.#records.list(prefix))
      records.set(numberOfKey(key), { value, revision })
    for await (const { key, value, revision } of this.#backends.list(prefix)) {
      if (value.capacity !== usersPerBackend)
        await this.#backends.update(key, { ...value, capacity: usersPerBackend }, revision)
      this.#add(value, records.get(value.number))
    }
    this.#counts.sort((one, other) => one.backend - other.backend)
    if (this.#counts.length === 0) await this.#addBackend()
    if (this.#counts.some(count => !count.written.isSettled)) this.doubt()
  }

  #add({ number: backend, isRetired }: Backend, record?: { value: OccupancyRecord; revision: number }): void {
    // A backend without a record has never had a user, or the table was lost: then placements are counted anew.
    const written = record?.value ?? { users: 0, isSettled: false }
    this.#counts.push({
      backend,
      isRetired,
      users: written.users,
      changing: 0,
      written,
      revision: record?.revision ?? 0,
    })
  }

  #find(backend: number): Count | undefined {
    const guess = this.#counts[backend]
    return guess?.backend === backend ? guess : this.#counts.find(count => count.backend === backend)
  }

  async #takePlace(user: string): Promise<Count> {
    for (;;) {
      for (; this.#firstFree < this.#counts.length; this.#firstFree++) {
        const count = this.#counts[this.#firstFree]
        if (!count || count.isRetired || count.users >= this.#options.usersPerBackend) continue
        // Nothing is awaited between seeing the place and taking it: many look at the same time.
        count.users++
        this.#begun(user, count)
        return count
      }
      this.#adding ??= this.#addBackend().finally(() => {
        this.#adding = undefined
      })
      await this.#adding
    }
  }

  async #addBackend(): Promise<void> {
    const { instance, usersPerBackend, log } = this.#options
    this.#assertLeading()
    const backend = (this.#counts.at(-1)?.backend ?? -1) + 1
    const record = Backend.create({ number: backend, capacity: usersPerBackend })
    try {
      await this.#backends.create(backendKey(instance, backend), record)
      log.info({ backend }, 'a backend was added')
    } catch (error) {
      if (!(error instanceof ConflictError)) throw error
    }
    const entry = await this.#records.get(backendKey(instance, backend))
    this.#counts.push({
      backend,
      isRetired: false,
      users: entry?.value.users ?? 0,
      changing: 0,
      written: entry?.value ?? { users: 0, isSettled: true },
      revision: entry?.revision ?? 0,
    })
  }

  /** Fulfils when the record says that changes are under way and no fewer users than we count. */
  async #cover(count: Count): Promise<void> {
    while (count.revision === 0 || count.written.isSettled || count.written.users < count.users)
      await this.#write(count)
  }

  #write(count: Count): Promise<void> {
    count.writing ??= this.#writeNow(count).finally(() => {
      count.writing = undefined
    })
    return count.writing
  }

  async #writeNow(count: Count): Promise<void> {
    this.#assertLeading()
    const key = backendKey(this.#options.instance, count.backend)
    const value = {
      users: count.users,
      isSettled: count.changing === 0 && !this.#isDoubtful && this.#moved === undefined,
    }
    try {
      count.revision =
        count.revision === 0
          ? await this.#records.create(key, value)
          : await this.#records.update(key, value, count.revision)
      count.written = value
    } catch (error) {
      if (!(error instanceof ConflictError)) throw error
      // The leader before us had a write on its way, or we are no longer the leader: then the next check says so.
      this.#options.onFenced()
      const entry = await this.#records.get(key)
      count.revision = entry?.revision ?? 0
      if (entry) count.written = entry.value
    }
  }

  #settleSoon(count: Count): void {
    if (count.changing > 0 || count.settling || this.#stopping.signal.aborted) return
    count.settling = setTimeout(() => void this.#settle(count), settleMs)
    count.settling.unref()
  }

  async #settle(count: Count): Promise<void> {
    count.settling = undefined
    if (count.changing > 0) return
    if (count.written.isSettled && count.written.users === count.users) return
    try {
      await this.#write(count)
      if (!count.written.isSettled) this.#settleSoon(count)
    } catch (error) {
      // The record stays unsettled, which is safe: whoever leads next counts anew.
      this.#options.log.warn({ err: error, backend: count.backend }, 'the users of a backend could not be written down')
    }
  }

  #begun(user: string, count: Count): void {
    count.changing++
    this.#underWay.set(user, count.backend)
    this.#moved?.set(user, count.backend)
  }

  /** Counts placements until that succeeds. Who moves meanwhile is counted by what we know, all others as found. */
  async #recount(): Promise<void> {
    const { log, onRecount, mayAct } = this.#options
    const { signal } = this.#stopping
    while (this.#isDoubtful && !signal.aborted && mayAct()) {
      this.#isDoubtful = false
      this.#moved = new Map(this.#underWay)
      onRecount()
      try {
        const found = await this.#countPlacements(this.#moved)
        for (const count of this.#counts) count.users = found.get(count.backend) ?? 0
        this.#firstFree = 0
        log.info({ placements: this.users }, 'placements were counted anew')
      } catch (error) {
        this.#isDoubtful = true
        log.warn({ err: error }, 'placements could not be counted anew; trying again')
        // Aborting is the one way in which this wait fails.
        await delay(recountPauseMs, undefined, { signal, ref: false }).catch(() => signal.aborted)
      }
      this.#moved = undefined
    }
    for (const count of this.#counts) this.#settleSoon(count)
  }

  async #countPlacements(moved: ReadonlyMap<string, number | undefined>): Promise<Map<number, number>> {
    const { bus, instance } = this.#options
    const placements = bus.table('placements', protoValue(Placement))
    // Looked at only when all is read: a user may move while we read.
    const seen: [user: string, backend: number][] = []
    for await (const { key, value } of placements.list(instancePrefix(instance)))
      seen.push([userOfKey(key), value.backend])
    const found = new Map<number, number>()
    const add = (backend: number) => found.set(backend, (found.get(backend) ?? 0) + 1)
    for (const [user, backend] of seen) if (!moved.has(user)) add(backend)
    for (const backend of moved.values()) if (backend !== undefined) add(backend)
    return found
  }

  #assertLeading(): void {
    if (this.#options.mayAct()) return
    throw new NetworkError('unavailable', 'This router does not lead any more.')
  }
}
