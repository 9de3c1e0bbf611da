import { backendResource, instancePrefix, numberOfKey, type Owner, type Ownership, protoValue } from '@spectrum/bus'
import { Backend } from '@spectrum/messages'
import type { Session } from '../sessions/session.ts'
import { type BackendContext, RunningBackend } from './running-backend.ts'

export interface BackendsOptions extends Omit<BackendContext, 'ended'> {
  /** Most backends that this process runs while others could: more are taken only when nobody else does. */
  readonly backendsPerWorker: number
  readonly random?: () => number
}

/** How long a worker waits before it takes a backend, for each that it has more than the worker with the fewest. */
const patiencePerBackendMs = 50
/** A full worker leaves others this much time. */
const patienceWhenFullMs = 2_000
/** Changes tell when there is something to take; this only covers what was not told. */
const reviewMs = 5_000

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
  /** Being acquired, and not yet ours. */
  #wanted = 0
  #isStopping = false

  constructor(options: BackendsOptions) {
    this.#options = options
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
      await bus.owners.watch(ownerPrefix, (resource, owner) => {
        const number = numberOfKey(resource)
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
    )
    const timer = setInterval(() => this.#reviewAll(), reviewMs)
    this.#watches.push({ [Symbol.dispose]: () => clearInterval(timer) })
    this.#reviewAll()
  }

  /** Hands every backend over; fulfils when all are released, or rejects nothing: what could not be recorded is logged. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#isStopping = true
    for (const watch of this.#watches) watch[Symbol.dispose]()
    for (const timer of this.#attempts.values()) clearTimeout(timer)
    await Promise.allSettled(this.#acquiring)
    await Promise.all([...this.#running.values()].map(backend => backend.drain(15_000)))
  }

  #reviewAll(): void {
    for (const number of this.#records.keys()) this.#review(number)
  }

  /** Plans to take the backend when nobody alive has it, sooner the less this process has to do. */
  #review(number: number): void {
    if (this.#isFree(number) && !this.#attempts.has(number)) this.#plan(number, performance.now())
  }

  /** Looks again when the time has come: what was taken meanwhile may be a reason to leave it to others for longer. */
  #plan(number: number, sinceMs: number): void {
    const { backendsPerWorker, random = Math.random } = this.#options
    const load = this.#running.size + this.#wanted
    const patience = load >= backendsPerWorker ? patienceWhenFullMs : 0
    const waitMs = Math.max(0, load - this.#fewest()) * patiencePerBackendMs + patience
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

  /** How many backends the least busy other worker has; without others, no reason to wait. */
  #fewest(): number {
    const { bus } = this.#options
    const counts = new Map<string, number>()
    for (const { process } of bus.owners.processes('worker')) if (process !== bus.processId) counts.set(process, 0)
    for (const { process } of this.#owners.values()) {
      const count = counts.get(process)
      if (count !== undefined) counts.set(process, count + 1)
    }
    return Math.min(Number.POSITIVE_INFINITY, ...counts.values())
  }

  #isFree(number: number): boolean {
    if (this.#isStopping || !this.#records.has(number) || this.#running.has(number)) return false
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
      return await bus.owners.acquire(backendResource(instance, number))
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
    this.#options.bus.owners.setInfo({ backends: this.#running.size })
  }
}
