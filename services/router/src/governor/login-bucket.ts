/** How often one host may be asked to let somebody in. */
export interface Allowance {
  /** Logins per second. */
  readonly rate: number
  /** Most logins at once. In any time of t seconds there are never more than burst + rate × t. */
  readonly burst: number
}

/** A host that throttles: its rate is halved at most once in this time, and grows again after each. */
const intervalMs = 10_000
/** Nobody is let in for so long after a host has throttled. */
const pauseMs = 5_000
/** Never slower than this, however often a host throttles: one login in 30 s. */
const leastRate = 1 / 30
/** What the rate regains each interval, of the configured one. */
const recovery = 1 / 20
const longestValidMs = 2_000
const shortestValidMs = 250

/**
 * A token bucket that slows down when its host says that it is asked too often, and recovers step by step. A turn may be used some
 * time after it was granted ({@link validMs}), so part of the burst is set aside for that: what is used in any time stays below
 * burst + rate × t, whenever it was granted.
 */
export class LoginBucket {
  /** How long after it was asked for a turn may be used. */
  readonly validMs: number
  readonly #base: number
  readonly #capacity: number
  #rate: number
  #tokens = 0
  #atMs: number
  #recoveredMs: number
  #halvedMs = Number.NEGATIVE_INFINITY
  #pausedUntilMs = Number.NEGATIVE_INFINITY

  /**
   * @param allowance - a burst below 2, or below half a second's worth of the rate, is raised to that
   * @param emptyMs - when nothing had been saved up; all times are monotonic milliseconds
   */
  constructor({ rate, burst }: Allowance, emptyMs: number) {
    const most = Math.max(2, rate / 2, burst)
    this.validMs = Math.min(longestValidMs, Math.max(shortestValidMs, (most / 2 / rate) * 1_000))
    this.#capacity = most - (rate * this.validMs) / 1_000
    this.#base = rate
    this.#rate = rate
    this.#atMs = emptyMs
    this.#recoveredMs = emptyMs
  }

  /** Logins per second that are let through now. */
  rate(nowMs: number): number {
    this.#advance(nowMs)
    return this.#rate
  }

  /**
   * Whole turns that may be granted now, while so many that were used are not answered by the host: it may let these in at any
   * moment, so that they count as saved up.
   */
  turns(nowMs: number, unanswered = 0): number {
    this.#advance(nowMs)
    this.#tokens = Math.min(this.#tokens, Math.max(0, this.#capacity - unanswered))
    // What was saved up before the host throttled is not used while it recovers its breath.
    return nowMs < this.#pausedUntilMs ? 0 : Math.floor(this.#tokens + 1e-9)
  }

  take(turns: number): void {
    this.#tokens -= turns
  }

  /** The host throttled. */
  throttled(nowMs: number): void {
    this.#advance(nowMs)
    this.#tokens = Math.min(this.#tokens, 0)
    this.#pausedUntilMs = nowMs + pauseMs
    this.#recoveredMs = nowMs
    if (nowMs - this.#halvedMs < intervalMs) return
    this.#rate = Math.max(Math.min(leastRate, this.#base), this.#rate / 2)
    this.#halvedMs = nowMs
  }

  /** When there will be so many turns, in milliseconds from now. */
  waitMs(turns: number, nowMs: number): number {
    this.#advance(nowMs)
    const missing = Math.max(0, turns - this.#tokens)
    return Math.max(0, this.#pausedUntilMs - nowMs) + (missing / this.#rate) * 1_000
  }

  /** A new bucket that was empty long ago would be the same. */
  isFull(nowMs: number): boolean {
    this.#advance(nowMs)
    return this.#rate === this.#base && this.#tokens >= this.#capacity && nowMs >= this.#pausedUntilMs
  }

  #advance(nowMs: number): void {
    if (nowMs <= this.#atMs) return
    const fromMs = Math.min(nowMs, Math.max(this.#atMs, this.#pausedUntilMs))
    // At the rate of the beginning: where it grew meanwhile, that is too little rather than too much.
    this.#tokens = Math.min(this.#capacity, this.#tokens + (this.#rate * (nowMs - fromMs)) / 1_000)
    this.#atMs = nowMs
    if (this.#rate >= this.#base) return
    const steps = Math.floor((nowMs - this.#recoveredMs) / intervalMs)
    if (steps <= 0) return
    this.#rate = Math.min(this.#base, this.#rate + steps * this.#base * recovery)
    this.#recoveredMs += steps * intervalMs
  }
}
