import { NetworkError } from '@spectrum/network'

interface Waiter {
  readonly signal: AbortSignal | undefined
  pass(): void
  giveUp(): void
}

/** Lets one after the other pass, at least so far apart, in the order in which they came. */
export class Spacing implements Disposable {
  readonly #gapMs: number
  readonly #waiting: Waiter[] = []
  #lastAt = Number.NEGATIVE_INFINITY
  #timer: NodeJS.Timeout | undefined
  #isClosed = false

  /** @param gapMs 0: all pass at once */
  constructor(gapMs: number) {
    this.#gapMs = gapMs
  }

  /** Fulfils when it is the caller's turn. Rejects with `unavailable` when it is closed, or nobody waits for it any more. */
  turn(signal?: AbortSignal): Promise<void> {
    if (this.#gapMs === 0) return Promise.resolve()
    return new Promise((resolve, reject) => {
      const giveUp = () => reject(new NetworkError('unavailable', 'Too many log in at the moment; please try again.'))
      if (this.#isClosed || signal?.aborted) return giveUp()
      signal?.addEventListener('abort', giveUp, { once: true })
      this.#waiting.push({ signal, pass: resolve, giveUp })
      this.#next()
    })
  }

  /** Sends all away who wait, now and later. */
  [Symbol.dispose](): void {
    this.#isClosed = true
    clearTimeout(this.#timer)
    for (const waiter of this.#waiting.splice(0)) waiter.giveUp()
  }

  #next(): void {
    if (this.#timer !== undefined) return
    const leftMs = this.#lastAt + this.#gapMs - performance.now()
    if (leftMs > 0) {
      this.#timer = setTimeout(() => {
        this.#timer = undefined
        this.#next()
      }, Math.ceil(leftMs))
      return
    }
    // Who has given up takes no turn from those behind.
    const waiter = this.#waiting.shift()
    if (waiter === undefined) return
    if (!waiter.signal?.aborted) {
      this.#lastAt = performance.now()
      waiter.signal?.removeEventListener('abort', waiter.giveUp)
      waiter.pass()
    }
    this.#next()
  }
}
