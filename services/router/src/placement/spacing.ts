import { NetworkError } from '@spectrum/network'

interface Waiter {
  pass(): void
  giveUp(code: 'rate-limited' | 'unavailable'): void
}

interface Place {
  /** Somebody asks for it now. */
  waiter: Waiter | undefined
  /** When it was asked for last; monotonic milliseconds. */
  seenMs: number
}

/** Whoever does not ask again within this time has lost the place. */
const rememberedMs = 10_000

/**
 * Lets users pass one after the other, at least so far apart, in the order in which they came. A user keeps the place in the line
 * between two questions, so that nobody needs to wait for one answer for longer than an answer may take.
 */
export class Spacing implements Disposable {
  readonly #gapMs: number
  readonly #line = new Map<string, Place>()
  #lastMs = Number.NEGATIVE_INFINITY
  #timer: NodeJS.Timeout | undefined
  #isClosed = false

  /** @param gapMs 0: all pass at once */
  constructor(gapMs: number) {
    this.#gapMs = gapMs
  }

  /** False when all pass at once. */
  get isNeeded(): boolean {
    return this.#gapMs > 0
  }

  /**
   * Fulfils when it is the user's turn. Rejects with `rate-limited` when it is not within `limitMs` (default: no limit), with the
   * place kept for 10 s; with `unavailable` when this is closed, or nobody waits for the answer any more.
   */
  turn(
    user: string,
    { limitMs, signal }: { limitMs?: number | undefined; signal?: AbortSignal | undefined } = {},
  ): Promise<void> {
    if (this.#gapMs === 0) return Promise.resolve()
    if (this.#isClosed || signal?.aborted) return Promise.reject(refusal('unavailable'))
    const place = this.#line.get(user) ?? { waiter: undefined, seenMs: 0 }
    this.#line.set(user, place)
    // Asked again: nobody waits for the former answer.
    place.waiter?.giveUp('unavailable')
    return new Promise((resolve, reject) => {
      const leave = () => {
        clearTimeout(timer)
        signal?.removeEventListener('abort', aborted)
        place.waiter = undefined
        place.seenMs = performance.now()
      }
      const giveUp: Waiter['giveUp'] = code => {
        leave()
        reject(refusal(code))
      }
      const aborted = () => giveUp('unavailable')
      const timer = limitMs === undefined ? undefined : setTimeout(giveUp, limitMs, 'rate-limited')
      signal?.addEventListener('abort', aborted, { once: true })
      place.waiter = {
        giveUp,
        pass: () => {
          leave()
          this.#line.delete(user)
          resolve()
        },
      }
      this.#next()
    })
  }

  /** Sends all away who wait, now and later. */
  [Symbol.dispose](): void {
    this.#isClosed = true
    clearTimeout(this.#timer)
    for (const { waiter } of this.#line.values()) waiter?.giveUp('unavailable')
    this.#line.clear()
  }

  #next(): void {
    if (this.#timer !== undefined || this.#isClosed) return
    const leftMs = this.#lastMs + this.#gapMs - performance.now()
    if (leftMs > 0) {
      this.#timer = setTimeout(() => {
        this.#timer = undefined
        this.#next()
      }, Math.ceil(leftMs))
      return
    }
    const waiter = this.#first()
    if (waiter === undefined) return
    this.#lastMs = performance.now()
    waiter.pass()
    this.#next()
  }

  /** The first in the line who asks now. Who is between two questions keeps the place, and takes no turn from those behind. */
  #first(): Waiter | undefined {
    const now = performance.now()
    for (const [user, { waiter, seenMs }] of this.#line) {
      if (waiter !== undefined) return waiter
      if (now - seenMs > rememberedMs) this.#line.delete(user)
    }
    return undefined
  }
}

function refusal(code: 'rate-limited' | 'unavailable'): NetworkError {
  return new NetworkError(code, 'Too many log in at the moment; please try again.')
}
