import type { Clock } from '@spectrum/network'

/** Flood control of one connection: `burst` lines at once, then `rate` lines a second. A rate of 0 lets everything through. */
export class Pacer {
  readonly #clock: Clock
  readonly #burst: number
  readonly #rate: number
  #tokens: number
  #at: number

  constructor(clock: Clock, burst: number, rate: number) {
    this.#clock = clock
    this.#burst = burst
    this.#rate = rate
    this.#tokens = burst
    this.#at = clock.monotonic()
  }

  /** Takes the right to send one line, if there is one now. */
  take(): boolean {
    if (this.#rate === 0) return true
    this.#refill()
    if (this.#tokens < 1) return false
    this.#tokens -= 1
    return true
  }

  /** Milliseconds until {@link take} will succeed. */
  waitMs(): number {
    if (this.#rate === 0) return 0
    this.#refill()
    return this.#tokens >= 1 ? 0 : Math.ceil(((1 - this.#tokens) / this.#rate) * 1000)
  }

  #refill(): void {
    const now = this.#clock.monotonic()
    this.#tokens = Math.min(this.#burst, this.#tokens + ((now - this.#at) / 1000) * this.#rate)
    this.#at = now
  }
}
