import { setTimeout as delay } from 'node:timers/promises'
import type { Logger } from '@spectrum/network'
import type { Store } from '@spectrum/store'

export interface DatabaseWatchOptions {
  readonly store: Store
  readonly log: Logger
  readonly onPing: (result: 'ok' | 'failed') => void
  readonly onChange: (isAvailable: boolean) => void
  /** Pause between two looks; default 3 s. */
  readonly everyMs?: number
}

/** Counting is work for a large table, so it is done less often than asking whether the database is there. */
const countEveryMs = 30_000

/** Looks after the database: whether it answers, for readiness, and how many accounts it has, for metrics. */
export class DatabaseWatch implements AsyncDisposable {
  readonly #options: DatabaseWatchOptions
  readonly #stopping = new AbortController()
  readonly #running: Promise<void>
  #isAvailable = true
  #accounts = 0
  #countedAt = -Infinity

  constructor(options: DatabaseWatchOptions) {
    this.#options = options
    this.#running = this.#run()
  }

  get isAvailable(): boolean {
    return this.#isAvailable
  }

  /** Accounts at the last count. */
  get accounts(): number {
    return this.#accounts
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stopping.abort()
    await this.#running
  }

  async #run(): Promise<void> {
    const { everyMs = 3_000 } = this.#options
    const { signal } = this.#stopping
    while (!signal.aborted) {
      await this.#look()
      // Aborting is the one way in which this wait fails.
      await delay(everyMs, undefined, { signal }).catch(() => signal.aborted)
    }
  }

  async #look(): Promise<void> {
    const { store, log, onPing, onChange } = this.#options
    const wasAvailable = this.#isAvailable
    try {
      await store.ping()
      if (performance.now() - this.#countedAt >= countEveryMs) {
        this.#accounts = await store.accounts.count()
        this.#countedAt = performance.now()
      }
      this.#isAvailable = true
      onPing('ok')
      if (!wasAvailable) log.info({}, 'the database is available again')
    } catch (error) {
      this.#isAvailable = false
      onPing('failed')
      if (wasAvailable) log.error({ err: error }, 'the database is not available')
    }
    if (this.#isAvailable !== wasAvailable) onChange(this.#isAvailable)
  }
}
