import { setTimeout as delay } from 'node:timers/promises'
import { type Bus, leaderResource, type Ownership } from '@spectrum/bus'
import type { Logger } from '@spectrum/network'

export interface LeadershipOptions<Term extends AsyncDisposable> {
  readonly bus: Bus
  readonly instance: string
  readonly log: Logger
  /** Called when this router has become the leader. Disposed when it is no longer. */
  readonly begin: (ownership: Ownership) => Promise<Term>
}

const retryMs = 500

/** Of the routers of an instance one leads; the others try again and again to follow it. */
export class Leadership<Term extends AsyncDisposable> implements AsyncDisposable {
  readonly #options: LeadershipOptions<Term>
  readonly #stopping = new AbortController()
  readonly #running: Promise<void>
  #term: Term | undefined

  constructor(options: LeadershipOptions<Term>) {
    this.#options = options
    this.#running = this.#run()
  }

  /** What this router does as the leader; undefined while another one leads. */
  get term(): Term | undefined {
    return this.#term
  }

  /** Whether this router leads now or comes to lead in time. */
  async leadsWithin(limitMs: number, signal: AbortSignal): Promise<boolean> {
    const deadline = performance.now() + limitMs
    while (!this.#term && performance.now() < deadline) await delay(50, undefined, { signal })
    return this.#term !== undefined
  }

  /** Lets go of the leadership, so that another router takes it at once. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#stopping.abort()
    await this.#running
  }

  async #run(): Promise<void> {
    const { bus, instance, log } = this.#options
    const { signal } = this.#stopping
    while (!signal.aborted) {
      try {
        const ownership = await bus.owners.acquire(leaderResource(instance), signal)
        if (ownership) await this.#lead(ownership)
      } catch (error) {
        log.warn({ err: error }, 'this router could not become the leader; it tries again')
      }
      // Aborting is the one way in which this wait fails.
      await delay(retryMs, undefined, { signal }).catch(() => signal.aborted)
    }
  }

  async #lead(ownership: Ownership): Promise<void> {
    try {
      while ((await this.#leadOneTerm(ownership)) === 'reconnected') this.#options.log.info({}, 'a new term begins')
    } finally {
      await ownership.release()
    }
  }

  /** Fulfils with why the term ended. */
  async #leadOneTerm(ownership: Ownership): Promise<string> {
    const { bus, log, begin } = this.#options
    const { signal } = this.#stopping
    const ended = Promise.withResolvers<string>()
    using _lost = ownership.onLost(reason => ended.resolve(reason))
    // The server that we come back to may have lost its tables: all is read and published again.
    using _connection = bus.onConnection(isConnected => isConnected && ended.resolve('reconnected'))
    const stop = () => ended.resolve('stopping')
    signal.addEventListener('abort', stop)
    if (signal.aborted) stop()
    try {
      await using term = await begin(ownership)
      this.#term = term
      log.info({ epoch: ownership.epoch }, 'this router leads')
      const reason = await ended.promise
      this.#term = undefined
      log.info({ epoch: ownership.epoch, reason }, 'a term of this router ends')
      return reason
    } finally {
      this.#term = undefined
      signal.removeEventListener('abort', stop)
    }
  }
}
