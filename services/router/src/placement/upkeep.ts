import type { ProcessInfo } from '@spectrum/bus'
import type { Logger } from '@spectrum/network'
import type { Occupancy } from './occupancy.ts'

export interface UpkeepOptions {
  readonly occupancy: Occupancy
  readonly log: Logger
  /** Live workers with what they say of themselves. */
  readonly workers: () => readonly Pick<ProcessInfo, 'process' | 'info'>[]
  /** Backends up to about the number, there or not, whose lanes hold commands that are not finished. */
  readonly busyLanes: (highest: number) => Promise<ReadonlySet<number>>
  /** Milliseconds between memory collections; 0: never. */
  readonly memoryCollectorMs: number
  /** So long a backend is empty before it is retired, beside the spare. Default 60 s. */
  readonly retireAfterMs?: number
  /** Milliseconds, monotonic. */
  readonly now?: () => number
}

const sweepMs = 5_000
/** A retired backend is removed when nothing has come to its lane for so long: frontends may not know yet that it is left. */
const quietMs = 15_000

/**
 * What the leader does now and then, so that there are as many backends as needed: empty ones are retired, with patience, and
 * removed when their lane has long been quiet; one that something comes to after all is brought back.
 */
export class Upkeep implements AsyncDisposable {
  readonly #options: UpkeepOptions
  readonly #now: () => number
  readonly #emptySince = new Map<number, number>()
  readonly #quietSince = new Map<number, number>()
  readonly #timers: NodeJS.Timeout[] = []
  #working: Promise<void> = Promise.resolve()
  #highest = 0

  constructor(options: UpkeepOptions) {
    this.#options = options
    this.#now = options.now ?? (() => performance.now())
  }

  start(): this {
    this.#every(sweepMs, () => this.sweep())
    if (this.#options.memoryCollectorMs > 0) this.#every(this.#options.memoryCollectorMs, () => this.collectMemory())
    return this
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const timer of this.#timers) clearInterval(timer)
    await this.#working
  }

  /** Retires and removes what is not needed. */
  async sweep(): Promise<void> {
    const { occupancy, busyLanes } = this.#options
    for (const number of occupancy.fit.numbers()) this.#highest = Math.max(this.#highest, number)
    const busy = await busyLanes(this.#highest)
    for (const number of busy) await occupancy.revive(number)
    if (!occupancy.isSure) return
    // Others go on meanwhile: looked at once more, each at its turn.
    for (const number of this.#superfluous())
      if (occupancy.isDeserted(number)) await occupancy.retire(number, 'nobody has used it for a while')
    for (const number of this.#removable(busy)) if (occupancy.isDeserted(number)) await occupancy.remove(number)
  }

  /** The worker process with the largest memory gets no new users on the backend where it has most. */
  async collectMemory(): Promise<void> {
    const { occupancy, workers } = this.#options
    const number = heaviestBackend(workers(), backend => occupancy.fit.isOpen(backend))
    if (number !== undefined) await occupancy.retire(number, 'its worker uses the most memory')
  }

  /** Empty for a while, and not the spare: that is the lowest one. */
  #superfluous(): number[] {
    const { occupancy, retireAfterMs = 60_000 } = this.#options
    const { fit } = occupancy
    const spare = Math.min(...fit.empty('normal'))
    const empty = [...fit.empty('normal'), ...fit.empty('long-run')].filter(number => number !== spare)
    return lasting(this.#emptySince, empty, this.#now(), retireAfterMs)
  }

  #removable(busy: ReadonlySet<number>): number[] {
    const { occupancy } = this.#options
    const isLeft = (number: number) =>
      !occupancy.fit.isOpen(number) && occupancy.isDeserted(number) && !busy.has(number)
    const left = [...occupancy.fit.numbers()].filter(isLeft)
    return lasting(this.#quietSince, left, this.#now(), quietMs)
  }

  #every(periodMs: number, work: () => Promise<void>): void {
    const { log } = this.#options
    const timer = setInterval(() => {
      this.#working = this.#working
        .then(work)
        .catch(error => log.warn({ err: error }, 'backends could not be looked after'))
    }, periodMs)
    this.#timers.push(timer.unref())
  }
}

/** Keeps since when each was seen without a break, and answers those seen for `lastingMs`. */
function lasting(since: Map<number, number>, present: readonly number[], now: number, lastingMs: number): number[] {
  const seen = new Set(present)
  for (const number of since.keys()) if (!seen.has(number)) since.delete(number)
  for (const number of present) if (!since.has(number)) since.set(number, now)
  return present.filter(number => now - (since.get(number) ?? now) >= lastingMs)
}

/**
 * Of the worker with the largest `rss` in its heartbeat, the backend with most `sessions`; undefined when no worker tells.
 * Only backends that `isEligible` count.
 */
export function heaviestBackend(
  workers: readonly Pick<ProcessInfo, 'info'>[],
  isEligible: (backend: number) => boolean,
): number | undefined {
  const largest = workers.toSorted((one, other) => rssOf(other.info) - rssOf(one.info))[0]
  if (largest === undefined || rssOf(largest.info) === 0) return undefined
  const { sessions } = largest.info
  const loads = Object.entries(typeof sessions === 'object' && sessions !== null ? sessions : {})
    .map(([number, users]) => ({ number: Number(number), users: Number(users) }))
    .filter(({ number, users }) => users > 0 && isEligible(number))
  return loads.toSorted((one, other) => other.users - one.users)[0]?.number
}

const rssOf = (info: Record<string, unknown>): number => (typeof info.rss === 'number' ? info.rss : 0)
