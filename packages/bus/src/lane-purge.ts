import type { Connection } from './connection.ts'
import type { Pacer } from './pacer.ts'
import { jetStreamApi, type Lane, laneFilter } from './subjects.ts'

const purgeBytes = 16 * 2 ** 20
const purgeTimeoutMs = 5000

/** Removes from a lane what its committed cursor has left behind: every few seconds, sooner after 16 MiB, and after going idle. */
export class LanePurge {
  readonly #connection: Connection
  readonly #lane: Lane
  readonly #pacer: Pacer
  readonly #everyMs: number
  readonly #isSameStream: () => Promise<boolean>
  #resets = 0
  #purgedLow: number
  #lastAt = performance.now()
  #bytes = 0
  #isPurging = false

  /** `isSameStream`: whether the stream is still the one that `low` is of. */
  constructor(
    connection: Connection,
    lane: Lane,
    pacer: Pacer,
    { everyMs, low, isSameStream }: { everyMs: number; low: number; isSameStream: () => Promise<boolean> },
  ) {
    this.#connection = connection
    this.#isSameStream = isSameStream
    this.#lane = lane
    this.#pacer = pacer
    this.#everyMs = everyMs
    this.#purgedLow = low
  }

  /** Something of this size was read: it will have to be purged. */
  read(bytes: number): void {
    this.#bytes += bytes
  }

  /** The stream was made anew. */
  reset(): void {
    this.#resets++
    this.#purgedLow = 1
  }

  /** Purges up to the committed low when it is time; true while there is something left to purge. */
  tick(now: number, low: number): boolean {
    if (low > this.#purgedLow && this.#isDue(now)) this.#purge(now, low)
    return low > this.#purgedLow
  }

  #isDue(now: number): boolean {
    if (this.#isPurging || !this.#connection.isConnected) return false
    if (this.#bytes >= purgeBytes) return true
    return now - this.#lastAt >= this.#everyMs && this.#pacer.take(now)
  }

  #purge(now: number, low: number): void {
    const { log } = this.#connection
    this.#isPurging = true
    this.#lastAt = now
    this.#bytes = 0
    const resets = this.#resets
    const purge = async () => {
      // A server that came back empty may be known here before the reader has noticed, or the reader notices while it is asked:
      // what is in it nobody has read.
      if (!(await this.#isSameStream()) || resets !== this.#resets) return
      const body = { filter: laneFilter(this.#lane), seq: low }
      await this.#connection.api(jetStreamApi.purge(this.#lane.stream), body, purgeTimeoutMs)
      if (resets === this.#resets) this.#purgedLow = low
    }
    purge()
      .catch(error => {
        this.#connection.count('bus_purge_failures', {})
        log.debug({ err: error, lane: this.#lane.key }, 'a lane was not purged, trying on')
      })
      .finally(() => {
        this.#isPurging = false
      })
  }
}
