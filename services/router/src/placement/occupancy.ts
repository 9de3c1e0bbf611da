import { setTimeout as delay } from 'node:timers/promises'
import { type Bus, instancePrefix, numberOfKey, protoValue } from '@spectrum/bus'
import { Occupancy as OccupancyRecord } from '@spectrum/messages'
import { type Logger, NetworkError } from '@spectrum/network'
import { BackendRecords } from './backend-records.ts'
import { FirstFit, type Pool } from './first-fit.ts'
import { BackendCount, type CountKeeping } from './occupancy-record.ts'
import { countPlacements } from './recount.ts'

export interface OccupancyOptions {
  readonly bus: Bus
  readonly instance: string
  readonly usersPerBackend: number
  /** False: a backend that was full once gets nobody any more. Default true. */
  readonly reuseOldBackends?: boolean
  readonly log: Logger
  /** False once somebody else leads: nothing is written then. */
  readonly mayAct: () => boolean
  readonly onRecount: () => void
  readonly onFenced: () => void
}

const pauseMs = 1_000

/**
 * Where users sit: {@link FirstFit} in the leader's memory, and for each backend a durable count. A new leader reads the
 * counts alone; only if the one before died in mid-change does it read all placements, once, while it works already.
 *
 * There is always one more backend than needed, open and empty, which a worker runs already when its first user comes.
 */
export class Occupancy implements AsyncDisposable {
  readonly fit: FirstFit
  readonly #options: OccupancyOptions
  readonly #records: BackendRecords
  readonly #counts = new Map<number, BackendCount>()
  readonly #keeping: CountKeeping
  readonly #adding = new Map<Pool, Promise<void>>()
  readonly #reopening = new Map<number, Promise<void>>()
  /** Users whose change is under way, and the backends that they count on meanwhile. */
  readonly #underWay = new Map<string, readonly number[]>()
  /** Where users count who moved since a recount began; undefined: no recount. */
  #moved: Map<string, readonly number[]> | undefined
  #isDoubtful = false
  #recounting: Promise<void> | undefined
  #unfinishedMoves: string[] = []
  #onUnfinishedMove: (user: string) => void = user => this.#unfinishedMoves.push(user)
  readonly #background = new Set<Promise<void>>()
  readonly #stopping = new AbortController()

  private constructor(options: OccupancyOptions) {
    const { bus, instance, usersPerBackend, log, onFenced } = options
    this.#options = options
    this.fit = new FirstFit(usersPerBackend)
    this.#records = new BackendRecords(bus, instance, usersPerBackend)
    this.#keeping = {
      table: bus.table('occupancy', protoValue(OccupancyRecord)),
      instance,
      log,
      onFenced,
      usersOn: backend => this.fit.usersOn(backend),
      isSure: () => this.isSure,
      assertLeading: () => this.#assertLeading(),
    }
  }

  /** Reads what is there; makes an empty backend, so that a worker has something to run and tells what the network can do. */
  static async load(options: OccupancyOptions): Promise<Occupancy> {
    const occupancy = new Occupancy(options)
    await occupancy.#load()
    return occupancy
  }

  get users(): number {
    return this.fit.users
  }

  get backends(): number {
    return this.fit.size
  }

  /** False while it is not known for sure who sits where. */
  get isSure(): boolean {
    return !this.#isDoubtful && this.#moved === undefined
  }

  /**
   * Chooses the first backend with room for the user, or makes one, and counts the user there; fulfils when that is
   * durable. {@link end} must follow.
   *
   * @param formerly - where a session that is restored ran: it may still run there, so that this backend is taken, full or not
   */
  async begin(user: string, formerly?: number): Promise<number> {
    const backend = formerly === undefined ? await this.#takePlace('normal') : await this.#takePlaceOn(formerly)
    await this.#cover(user, [backend], [])
    return backend
  }

  /** Announces that the user may leave the backend; fulfils when that is durable. {@link end} must follow. */
  async beginLeaving(user: string, backend: number): Promise<void> {
    await this.#cover(user, [backend], [backend])
  }

  /** As {@link begin}, for a user who sits on a backend and goes to one of the pool; counts on both until {@link end}. */
  async beginMove(user: string, from: number, pool: Pool): Promise<number> {
    const to = await this.#takePlace(pool)
    await this.#cover(user, [from, to], [from])
    return to
  }

  /** @param staysOn - of the backends that the user counted on, those where the user sits now or may sit */
  end(user: string, ...staysOn: readonly number[]): void {
    const counted = this.#underWay.get(user) ?? []
    this.#underWay.delete(user)
    this.#moved?.set(user, staysOn)
    for (const backend of counted) {
      if (!staysOn.includes(backend)) this.fit.leave(backend)
      this.#counts.get(backend)?.changeEnds()
    }
  }

  /** Says that a change may or may not have been written: placements are counted anew soon. */
  doubt(): void {
    this.#isDoubtful = true
    this.#recounting ??= this.#recount().finally(() => {
      this.#recounting = undefined
      // Somebody doubted when it was just over.
      if (this.#isDoubtful && !this.#stopping.signal.aborted && this.#options.mayAct()) this.doubt()
    })
  }

  /** Calls for each user whom somebody began to move and has not moved, as counting the placements anew finds out. */
  onUnfinishedMove(listener: (user: string) => void): void {
    this.#onUnfinishedMove = listener
    for (const user of this.#unfinishedMoves) listener(user)
    this.#unfinishedMoves = []
  }

  /** Nobody sits on the backend, comes to it or leaves it, as far as is known for sure. */
  isDeserted(backend: number): boolean {
    const count = this.#counts.get(backend)
    return this.isSure && this.fit.usersOn(backend) === 0 && count?.isChanging === false
  }

  /** Gives the backend no new users, from this moment on; fulfils when that is durable. */
  async retire(backend: number, reason: string): Promise<void> {
    if (!this.fit.isOpen(backend)) return
    const pool = this.fit.poolOf(backend) ?? 'normal'
    this.fit.close(backend)
    this.#options.log.info({ backend, reason }, 'a backend gets no new users')
    if (pool === 'normal') this.#keepSpare()
    this.#assertLeading()
    await this.#records.retire(backend)
  }

  /** Removes a retired backend. It must be deserted, and its lane empty. */
  async remove(backend: number): Promise<void> {
    if (this.fit.isOpen(backend) || !this.isDeserted(backend)) throw new RangeError(`backend ${backend} is in use`)
    this.#assertLeading()
    await this.#records.remove(backend)
    this.fit.remove(backend)
    const count = this.#counts.get(backend)
    this.#counts.delete(backend)
    this.#options.log.info({ backend }, 'an empty backend was removed')
    await count?.remove()
  }

  /** Has a backend run that was removed, and has something to do after all: closed, until that is done. */
  async revive(backend: number): Promise<void> {
    if (this.fit.has(backend)) return
    await this.#add(backend, 'normal', true)
    this.#options.log.info({ backend }, 'a backend that was removed has something to do: it is run again')
  }

  /** Writes what is not settled yet. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#stopping.abort()
    await this.#recounting
    await Promise.all([...this.#background, ...this.#adding.values()])
    await Promise.all([...this.#counts.values()].map(count => count.close()))
  }

  async #load(): Promise<void> {
    const { instance } = this.#options
    const records = new Map<number, { value: OccupancyRecord; revision: number }>()
    for await (const { key, value, revision } of this.#keeping.table.list(instancePrefix(instance)))
      records.set(numberOfKey(key), { value, revision })
    for (const { number, isRetired, isLongRun } of await this.#records.load()) {
      const record = records.get(number)
      this.#counts.set(number, new BackendCount(this.#keeping, number, record))
      const pool = isLongRun ? 'long-run' : 'normal'
      this.fit.add(number, { pool, users: record?.value.users ?? 0, isOpen: !isRetired })
    }
    // Only then: while it is doubtful who sits where, nothing is retired.
    if ([...this.#counts.values()].some(count => !count.isSettled)) this.doubt()
    if (this.fit.empty('normal').size === 0) await this.#addBackend('normal')
    for (const number of this.fit.numbers()) this.#retireWhenFull(number)
  }

  /** Counts the user on all of them; what fails leaves the user on those of `before`. */
  async #cover(user: string, backends: readonly number[], before: readonly number[]): Promise<void> {
    const counts = backends.map(backend => this.#counts.get(backend)).filter(count => count !== undefined)
    for (const count of counts) count.changeBegins()
    this.#underWay.set(user, backends)
    this.#moved?.set(user, backends)
    try {
      await Promise.all(counts.map(count => count.cover()))
    } catch (error) {
      this.end(user, ...before)
      throw error
    }
  }

  async #takePlace(pool: Pool): Promise<number> {
    for (;;) {
      const backend = this.fit.take(pool)
      if (backend === undefined) {
        await this.#grow(pool)
        continue
      }
      if (pool === 'normal') this.#keepSpare()
      this.#retireWhenFull(backend)
      return backend
    }
  }

  async #takePlaceOn(backend: number): Promise<number> {
    while (!this.#counts.has(backend)) await this.#reopen(backend)
    this.fit.takeOn(backend)
    this.#keepSpare()
    this.#retireWhenFull(backend)
    return backend
  }

  /** Makes the backend of that number, of which nothing is known any more. */
  #reopen(backend: number): Promise<void> {
    const reopening =
      this.#reopening.get(backend) ?? this.#add(backend, 'normal', false).finally(() => this.#reopening.delete(backend))
    this.#reopening.set(backend, reopening)
    return reopening
  }

  #retireWhenFull(backend: number): void {
    const { reuseOldBackends = true, usersPerBackend } = this.#options
    if (reuseOldBackends || this.fit.usersOn(backend) < usersPerBackend) return
    this.#inBackground(this.retire(backend, 'it was full'), 'a backend could not be retired')
  }

  #keepSpare(): void {
    if (this.fit.empty('normal').size > 0 || this.#stopping.signal.aborted) return
    this.#inBackground(this.#grow('normal'), 'no spare backend could be made')
  }

  /** What fails is tried again when the next user comes. */
  #inBackground(work: Promise<void>, sentence: string): void {
    const done: Promise<void> = work
      .catch(error => this.#options.log.warn({ err: error }, sentence))
      .finally(() => this.#background.delete(done))
    this.#background.add(done)
  }

  #grow(pool: Pool): Promise<void> {
    const adding = this.#adding.get(pool) ?? this.#addBackend(pool).finally(() => this.#adding.delete(pool))
    this.#adding.set(pool, adding)
    return adding
  }

  async #addBackend(pool: Pool): Promise<void> {
    // The other pool may take the number meanwhile.
    const number = this.fit.freeNumber
    await this.#add(number, pool, false)
    this.#options.log.info({ backend: number, pool }, 'a backend was added')
  }

  async #add(number: number, pool: Pool, isRetired: boolean): Promise<void> {
    this.#assertLeading()
    const { table, instance } = this.#keeping
    // The number is taken at once; the backend opens when its record is there.
    this.fit.add(number, { pool, isOpen: false })
    try {
      const count = new BackendCount(this.#keeping, number, await table.get(`${instancePrefix(instance)}${number}`))
      this.#counts.set(number, count)
      await count.settle()
      const record = await this.#records.create(number, { isLongRun: pool === 'long-run', isRetired })
      const users = this.fit.usersOn(number)
      this.fit.remove(number)
      this.fit.add(number, { pool: record.isLongRun ? 'long-run' : 'normal', users, isOpen: !record.isRetired })
    } catch (error) {
      this.#counts.delete(number)
      this.fit.remove(number)
      throw error
    }
  }

  /** Counts placements until that succeeds. Who moves meanwhile is counted by what we know, all others as found. */
  async #recount(): Promise<void> {
    const { bus, instance, log, onRecount, mayAct } = this.#options
    const { signal } = this.#stopping
    while (this.#isDoubtful && !signal.aborted && mayAct()) {
      this.#isDoubtful = false
      this.#moved = new Map(this.#underWay)
      onRecount()
      try {
        const { usersOn, unfinishedMoves } = await countPlacements(bus, instance, this.#moved)
        // Who sits on a backend without a record must be run all the same.
        for (const number of usersOn.keys()) await this.revive(number)
        for (const number of this.fit.numbers()) this.fit.recounted(number, usersOn.get(number) ?? 0)
        this.#moved = undefined
        log.info({ placements: this.users }, 'placements were counted anew')
        for (const user of unfinishedMoves) this.#onUnfinishedMove(user)
        // Found empty, or found full.
        this.#keepSpare()
        for (const number of this.fit.numbers()) this.#retireWhenFull(number)
      } catch (error) {
        this.#isDoubtful = true
        log.warn({ err: error }, 'placements could not be counted anew; trying again')
        // Aborting is the one way in which this wait fails.
        await delay(pauseMs, undefined, { signal, ref: false }).catch(() => signal.aborted)
      }
      this.#moved = undefined
    }
    for (const count of this.#counts.values()) count.settleSoon()
  }

  #assertLeading(): void {
    if (this.#options.mayAct()) return
    throw new NetworkError('unavailable', 'This router does not lead any more.')
  }
}
