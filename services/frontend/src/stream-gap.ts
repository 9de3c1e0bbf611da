import type { Logger } from '@spectrum/network'
import type { FrontendMetrics } from './metrics.ts'

/** A gap that is worth a line in the log. */
const notableMs = 1_000

/** How long the instance is without a component stream, as its active frontend sees it. */
export class StreamGap {
  readonly #parts: { readonly metrics: FrontendMetrics; readonly log: Logger }
  #since: number | undefined
  #isOnline = false

  constructor(parts: { readonly metrics: FrontendMetrics; readonly log: Logger }) {
    this.#parts = parts
  }

  /** The stream is gone, or this frontend is active from now on. */
  began(): void {
    if (!this.#isOnline) this.#since ??= performance.now()
    else this.#since = performance.now()
    this.#isOnline = false
  }

  /** This frontend is active no more: what follows is the next one's. */
  left(): void {
    this.#isOnline = false
    this.#since = undefined
  }

  /** There is a stream. */
  ended(): void {
    this.#isOnline = true
    if (this.#since === undefined) return
    const ms = Math.round(performance.now() - this.#since)
    this.#since = undefined
    this.#parts.metrics.gapSeconds.set(ms / 1_000)
    if (ms >= notableMs) this.#parts.log.warn({ ms }, 'there was no component stream for so long')
  }
}
