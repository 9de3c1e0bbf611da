/** A process that does nothing for so long was stopped, or its machine was; what is shorter may be a busy moment. */
const standstillMs = 5_000
const lookMs = 1_000

/**
 * Notices that this process stood still (SIGSTOP, a paused machine): its timers did not run for 5 s by the monotonic clock.
 * Whoever asks first after it went on sees it, before any timer has run.
 */
export class Standstill implements Disposable {
  readonly #now: () => number
  readonly #timer: NodeJS.Timeout
  readonly #looks = new Set<() => void>()
  #lastMs: number
  #count = 0

  constructor(now: () => number = () => performance.now()) {
    this.#now = now
    this.#lastMs = now()
    this.#timer = setInterval(() => this.look(), lookMs).unref()
  }

  /** Goes up with each standstill. */
  count(): number {
    const now = this.#now()
    if (now - this.#lastMs > standstillMs) this.#count++
    this.#lastMs = now
    return this.#count
  }

  /** Called every second while the process runs. */
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
