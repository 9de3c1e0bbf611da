import { setTimeout as delay } from 'node:timers/promises'

/** Lets one after the other pass, at least so far apart. */
export class Spacing {
  readonly #gapMs: number
  #nextAt = Number.NEGATIVE_INFINITY

  /** @param gapMs 0: all pass at once */
  constructor(gapMs: number) {
    this.#gapMs = gapMs
  }

  /** Fulfils when it is the caller's turn, in the order of the calls. Rejects when the signal aborts before; the turn is lost. */
  async turn(signal?: AbortSignal): Promise<void> {
    if (this.#gapMs === 0) return
    const now = performance.now()
    const at = Math.max(now, this.#nextAt)
    this.#nextAt = at + this.#gapMs
    if (at > now) await delay(at - now, undefined, signal ? { signal } : {})
  }
}
