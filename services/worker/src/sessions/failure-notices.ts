import type { Clock } from '@spectrum/network'

const perWindow = 10
const windowMs = 60_000

/**
 * Which failed attempts to connect are worth a warning: the first ten of each minute of a process. When a network is lost
 * thousands of sessions fail together, and ten of them say it all.
 */
export class FailureNotices {
  readonly #clock: Clock
  #windowEndsAt = -Infinity
  #told = 0

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /** Whether this one is to be told; counts it. */
  take(): boolean {
    const now = this.#clock.monotonic()
    if (now >= this.#windowEndsAt) {
      this.#windowEndsAt = now + windowMs
      this.#told = 0
    }
    return ++this.#told <= perWindow
  }
}

const known = new WeakMap<Clock, FailureNotices>()

/** Those of the process that this clock is the clock of. */
export function failureNotices(clock: Clock): FailureNotices {
  const notices = known.get(clock) ?? new FailureNotices(clock)
  known.set(clock, notices)
  return notices
}
