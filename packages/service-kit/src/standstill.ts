export interface StandstillOptions {
  /** A process that does nothing for longer was stopped, or its machine was; what is shorter may be a busy moment. Default 5000 ms. */
  readonly longerThanMs?: number
  /** How often it is looked. Default 1000 ms. */
  readonly everyMs?: number
  /** Milliseconds, monotonic. Default performance.now. */
  readonly now?: () => number
}

/**
 * Notices that this process stood still (SIGSTOP, a paused machine): its timers did not run for longer than that by the
 * monotonic clock. Whoever asks first after it went on sees it, before any timer has run.
 */
export class Standstill implements Disposable {
  readonly #longerThanMs: number
  readonly #now: () => number
  readonly #timer: NodeJS.Timeout
  readonly #looks = new Set<() => void>()
  #lastMs: number
  #count = 0

  constructor({ longerThanMs = 5_000, everyMs = 1_000, now = () => performance.now() }: StandstillOptions = {}) {
    this.#longerThanMs = longerThanMs
    this.#now = now
    this.#lastMs = now()
    this.#timer = setInterval(() => this.look(), everyMs).unref()
  }

  /** Goes up with each standstill. */
  count(): number {
    const now = this.#now()
    if (now - this.#lastMs > this.#longerThanMs) this.#count++
    this.#lastMs = now
    return this.#count
  }

  /** Called at every look while the process runs. */
  onLook(listener: () => void): Disposable {
    this.#looks.add(listener)
    return { [Symbol.dispose]: () => this.#looks.delete(listener) }
  }

  look(): void {
    this.count()
    for (const listener of this.#looks) listener()
  }

  [Symbol.dispose](): void {
    clearInterval(this.#timer)
  }
}
