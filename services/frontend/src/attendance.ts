import type { ProcessInfo } from '@spectrum/bus'

/** Who announced itself counts for so long before its heartbeat tells of it. */
const announcedMs = 10_000

/**
 * Which frontends have, or are about to have, a connection of the XMPP server, and how many there were at most: that is how
 * many the server counts on. Each tells the others the most that it knows, so that the number outlives every process.
 */
export class Attendance {
  readonly #now: () => number
  readonly #announced = new Map<string, number>()
  readonly #leaving = new Set<string>()
  readonly #left = new Set<string>()
  #most = 0

  constructor(now: () => number = () => performance.now()) {
    this.#now = now
  }

  get most(): number {
    return this.#most
  }

  /** That frontend is about to connect. */
  joins(process: string): void {
    this.#leaving.delete(process)
    this.#left.delete(process)
    this.#announced.set(process, this.#now())
  }

  /** That frontend is about to end its connection for good. */
  leaves(process: string): void {
    this.#leaving.add(process)
  }

  isLeaving(process: string): boolean {
    return this.#leaving.has(process)
  }

  /** That frontend has ended its connection for good. */
  left(process: string): void {
    this.#announced.delete(process)
    this.#leaving.delete(process)
    this.#left.add(process)
  }

  /** How many of the living frontends are about to be missing. */
  leaving(peers: readonly Pick<ProcessInfo, 'process'>[]): number {
    const living = new Set(peers.map(({ process }) => process))
    for (const process of this.#leaving) if (!living.has(process)) this.#leaving.delete(process)
    return this.#leaving.size
  }

  /** How many of the living frontends are missing of the most that there were. `members` have a stream, `peers` live. */
  missing(members: readonly string[], peers: readonly Pick<ProcessInfo, 'process' | 'info'>[]): number {
    const present = new Set(members)
    this.#most = Math.max(this.#most, members.length)
    const living = new Set(peers.map(({ process }) => process))
    for (const process of this.#left) if (!living.has(process)) this.#left.delete(process)
    for (const { process, info } of peers) {
      if (typeof info.most === 'number') this.#most = Math.max(this.#most, info.most)
      if ((info.link === 'shared' || info.link === 'away') && !this.#left.has(process)) present.add(process)
    }
    for (const [process, at] of this.#announced) {
      if (this.#now() - at > announcedMs) this.#announced.delete(process)
      else present.add(process)
    }
    return Math.max(0, this.#most - present.size)
  }
}
