import { setTimeout as delay } from 'node:timers/promises'
import { backendResource, instancePrefix, numberOfKey, type Owner, type Ownership, protoValue } from '@spectrum/bus'
import { Backend, type ReportIdleRequest } from '@spectrum/messages'
import type { Session } from '../sessions/session.ts'
import { HandOver } from './hand-over.ts'
import { IdleUsers } from './idle-users.ts'
import { type BackendContext, RunningBackend } from './running-backend.ts'
import { otherWorkers, type WorkerInfo, type WorkerLoad } from './spread.ts'

export interface BackendsOptions extends Omit<BackendContext, 'ended'> {
  /** Most backends that this process runs while others could: more are taken only when nobody else does. */
  readonly backendsPerWorker: number
  readonly random?: () => number
  /** Between two backends that this worker gives to others: 1 s, and five times that when sessions run on it. */
  readonly handOverMs?: number
  /** Users who did nothing for so long are reported; 0 (default): nobody is. */
  readonly idleSeconds?: number
  reportIdle?(request: ReportIdleRequest): Promise<unknown>
}

/** How long a worker waits before it takes a backend, for each that it has more than the worker with the fewest. */
const patiencePerBackendMs = 50
/** A full worker leaves others this much time. */
const patienceWhenFullMs = 2_000
/** Changes tell when there is something to take; this only covers what was not told. */
const reviewMs = 5_000
/** How long others leave a backend to whom its last owner meant it for. */
const patienceForHeirMs = 1_000
/** A stop waits so long for backends that are just being started. */
const patienceWithStartsMs = 2_000
/** The router's memory collector and launcher read what is told. */
const tellMs = 2_000

/**
 * The backends that this process runs: watches the records of backends and of their owners, and takes over those that nobody
 * alive owns. Workers need not agree: the owner record's compare-and-set decides.
 */
export class Backends implements AsyncDisposable {
  readonly #options: BackendsOptions
  readonly #records = new Map<number, Backend>()
  readonly #owners = new Map<number, Owner>()
  readonly #running = new Map<number, RunningBackend>()
  readonly #attempts = new Map<number, NodeJS.Timeout>()
  readonly #acquiring = new Set<Promise<void>>()
  readonly #watches: Disposable[] = []
  /** Whom the last owner of a free backend meant it for. */
  readonly #heirs = new Map<number, string>()
  readonly #handOver: HandOver
  /** Being acquired, and not yet ours. */
  #wanted = 0
  readonly #stopping = new AbortController()

  constructor(options: BackendsOptions) {
    this.#options = options
    this.#handOver = new HandOver({
      running: () => [...this.#running.values()],
      others: () => this.#others(),
      isSettled: () => this.#isSettled(),
      log: options.sessions.log,
      spacingMs: options.handOverMs ?? 1_000,
    })
  }

  get size(): number {
    return this.#running.size
  }

  *sessions(): Iterable<Session> {
    for (const backend of this.#running.values()) yield* backend.sessions.values()
  }

  async start(): Promise<void> {
    const { bus, instance } = this.#options
    const ownerPrefix = `backend.${instance}.`
    this.#watches.push(
      await bus.owners.watch(ownerPrefix, (resource, owner, next) => {
        const number = numberOfKey(resource)
        this.#mind(number, next)
        if (owner === undefined) this.#owners.delete(number)
        else this.#owners.set(number, owner)
        this.#review(number)
      }),
      bus.owners.onDeath(() => this.#reviewAll()),
      await bus.table('backends', protoValue(Backend)).watch(instancePrefix(instance), (key, entry) => {
        const number = numberOfKey(key)
        if (entry === undefined) this.#records.delete(number)
        else this.#records.set(number, entry.value)
        this.#review(number)
      }),
      every(reviewMs, () => this.#reviewAll()),
      every(tellMs, () => this.#told()),
      this.#handOver.start(),
      this.#idleUsers().start(),
    )
    this.#told()
    this.#reviewAll()
  }

  /** Hands every backend over; fulfils when all are released, or rejects nothing: what could not be recorded is logged. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#stopping.abort()
    for (const watch of this.#watches) watch[Symbol.dispose]()
    for (const timer of this.#attempts.values()) clearTimeout(timer)
    this.#told()
    // One that is being started waits for the bus, which may be away for long: it is given back as it is.
    const patience = new AbortController()
    const isLate = delay(patienceWithStartsMs, undefined, { signal: patience.signal }).catch(() => undefined)
    await Promise.race([Promise.allSettled(this.#acquiring), isLate])
    patience.abort()
    await this.#handOver.leave()
  }

  #idleUsers(): IdleUsers {
    const { idleSeconds = 0, reportIdle = async () => undefined, sessions } = this.#options
    const isForIdle = ({ number }: RunningBackend) => this.#records.get(number)?.isLongRun !== false
    return new IdleUsers({
      idleSeconds,
      log: sessions.log,
      now: () => sessions.clock.now(),
      backends: () => [...this.#running.values()].filter(backend => !isForIdle(backend)),
      report: reportIdle,
    })
  }

  #reviewAll(): void {
    for (const number of this.#records.keys()) this.#review(number)
    for (const backend of this.#running.values()) this.#releaseRemoved(backend)
  }

  /**
   * Its record is gone and nobody uses it: owner record and cursor stay as they are, so that the number may come back, and
   * whoever takes it then reads on behind what was done here.
   */
  #releaseRemoved(backend: RunningBackend): void {
    if (this.#records.has(backend.number) || !backend.isStarted || backend.sessions.size > 0) return
    const { log } = this.#options.sessions
    backend
      .drain(10_000)
      .then(() => log.info({ backend: backend.number }, 'a backend that was removed is released'))
      .catch(error => log.error({ err: error, backend: backend.number }, 'a removed backend was not released'))
  }

  /** Plans to take the backend when nobody alive has it, sooner the less this process has to do. */
  #review(number: number): void {
    if (this.#isFree(number) && !this.#attempts.has(number)) this.#plan(number, performance.now())
    const running = this.#running.get(number)
    if (running !== undefined) this.#releaseRemoved(running)
  }

  /** A plan that was made before anybody was named waits or hurries accordingly. */
  #mind(number: number, next: string | undefined): void {
    if (next === undefined) return void this.#heirs.delete(number)
    this.#heirs.set(number, next)
    const timer = this.#attempts.get(number)
    if (timer === undefined || next !== this.#options.bus.processId) return
    clearTimeout(timer)
    this.#attempts.delete(number)
  }

  /** Looks again when the time has come: what was taken meanwhile may be a reason to leave it to others for longer. */
  #plan(number: number, sinceMs: number): void {
    const { backendsPerWorker, random = Math.random } = this.#options
    const load = this.#running.size + this.#wanted
    const patience = load >= backendsPerWorker ? patienceWhenFullMs : 0
    const ordinaryMs = Math.max(0, load - this.#fewest()) * patiencePerBackendMs + patience
    const waitMs = this.#waitForHeirMs(number, ordinaryMs)
    const leftMs = sinceMs + waitMs - performance.now()
    const isDue = this.#attempts.has(number) && leftMs <= 0
    if (!isDue) {
      const timer = setTimeout(() => this.#plan(number, sinceMs), Math.max(0, leftMs) + random() * 20)
      this.#attempts.set(number, timer)
      return
    }
    const acquiring = this.#acquire(number)
    this.#acquiring.add(acquiring)
    acquiring.finally(() => this.#acquiring.delete(acquiring))
  }

  #waitForHeirMs(number: number, ordinaryMs: number): number {
    const { bus } = this.#options
    const heir = this.#heirs.get(number)
    if (heir === undefined) return ordinaryMs
    if (heir === bus.processId) return 0
    return bus.owners.isDead(heir) ? ordinaryMs : ordinaryMs + patienceForHeirMs
  }

  /** How many backends the least busy other worker has; without others, no reason to wait. */
  #fewest(): number {
    return this.#others()[0]?.backends ?? Number.POSITIVE_INFINITY
  }

  #others(): WorkerLoad[] {
    return otherWorkers(this.#options.bus, this.#owners.values())
  }

  /** Every backend has a living owner, as far as is known: only then it makes sense to even the load out. */
  #isSettled(): boolean {
    const { bus } = this.#options
    if (this.#stopping.signal.aborted || !bus.isConnected || this.#attempts.size > 0) return false
    for (const number of this.#records.keys()) {
      const owner = this.#owners.get(number)
      if (owner === undefined || bus.owners.isDead(owner.process)) return false
    }
    return true
  }

  #isFree(number: number): boolean {
    if (this.#stopping.signal.aborted || !this.#records.has(number) || this.#running.has(number)) return false
    const owner = this.#owners.get(number)
    return owner === undefined || this.#options.bus.owners.isDead(owner.process)
  }

  async #acquire(number: number): Promise<void> {
    const { sessions } = this.#options
    const { log, metrics } = sessions
    let ownership: Ownership | undefined
    try {
      if (!this.#isFree(number)) return
      ownership = await this.#contend(number)
      if (ownership === undefined) return
      const startedMs = sessions.clock.monotonic()
      const backend = new RunningBackend({ ...this.#options, ended: ended => this.#ended(ended) }, ownership, number)
      this.#running.set(number, backend)
      this.#told()
      const { epoch } = ownership
      ownership.onLost(reason => backend.onLost(reason))
      await backend.start()
      metrics.takeovers.inc({ how: 'acquired' })
      const ms = Math.round(sessions.clock.monotonic() - startedMs)
      log.info({ backend: number, epoch, sessions: backend.sessions.size, ms }, 'a backend runs here')
    } catch (error) {
      log.error({ err: error, backend: number }, 'a backend could not be acquired')
      if (ownership !== undefined) await this.#giveUp(number, ownership)
    } finally {
      this.#attempts.delete(number)
    }
  }

  async #contend(number: number): Promise<Ownership | undefined> {
    const { bus, instance } = this.#options
    this.#wanted++
    try {
      return await bus.owners.acquire(backendResource(instance, number), this.#stopping.signal)
    } finally {
      this.#wanted--
    }
  }

  async #giveUp(number: number, ownership: Ownership): Promise<void> {
    this.#running.get(number)?.onLost('it could not be started')
    try {
      await ownership.release()
    } catch (error) {
      this.#options.sessions.log.warn({ err: error, backend: number }, 'a backend could not be released')
    }
  }

  #ended(backend: RunningBackend): void {
    if (this.#running.get(backend.number) === backend) this.#running.delete(backend.number)
    this.#told()
    this.#review(backend.number)
  }

  /** What others see of this process's load. */
  #told(): void {
    const sessions: Record<string, number> = {}
    for (const { number, sessions: running } of this.#running.values()) sessions[number] = running.size
    const info: WorkerInfo = {
      backends: this.#running.size,
      rss: process.memoryUsage.rss(),
      sessions,
      isDraining: this.#stopping.signal.aborted,
    }
    this.#options.bus.owners.setInfo(info)
  }
}

function every(ms: number, action: () => void): Disposable {
  const timer = setInterval(action, ms)
  return { [Symbol.dispose]: () => clearInterval(timer) }
}
