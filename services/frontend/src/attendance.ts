import type { ProcessInfo } from '@spectrum/bus'

/** Who announced itself counts for so long before its heartbeat tells of its stream. */
const announcedMs = 10_000
/** The heartbeat of who announced itself is there after so long, or it has died. */
const heartbeatMs = 1_000
/** Who lost its stream says so at once; where that is not heard, its heartbeat is believed after this time. */
const awayMs = 1_000

/** What a frontend says of its stream in its heartbeat. */
export type LinkState =
  /** It never had one. */
  | 'starting'
  | 'shared'
  /** It lost it. */
  | 'away'
  /** It is about to end it for good. */
  | 'leaving'

/**
 * Which frontends have, or are about to have, a connection of the XMPP server, and how many there were at most: that is how
 * many the server counts on. Each tells the others the most that it knows, so that the number outlives every process. The
 * heartbeat of one that has died is still there for a while, so that only those count of whom something was heard.
 */
export class Attendance {
  readonly #self: string
  readonly #now: () => number
  readonly #heard = new Set<string>()
  readonly #announced = new Map<string, number>()
  readonly #awaySince = new Map<string, number>()
  readonly #leaving = new Set<string>()
  readonly #left = new Set<string>()
  #most = 0

  constructor(self: string, now: () => number = () => performance.now()) {
    this.#self = self
    this.#now = now
  }

  get most(): number {
    return this.#most
  }

  /** That frontend has told us something: it lives. */
  heard(process: string): void {
    this.#heard.add(process)
  }

  /** That frontend is about to connect. */
  joins(process: string): void {
    this.#heard.add(process)
    this.#leaving.delete(process)
    this.#left.delete(process)
    this.#announced.set(process, this.#now())
  }

  /** That frontend is about to end its connection for good. */
  leaves(process: string): void {
    // It may have lost a stream before and come back unheard.
    this.#left.delete(process)
    this.#leaving.add(process)
  }

  isLeaving(process: string): boolean {
    return this.#leaving.has(process)
  }

  /** That frontend has ended or lost its connection, did not get one, or has died. */
  left(process: string): void {
    this.#announced.delete(process)
    this.#leaving.delete(process)
    this.#left.add(process)
  }

  /** The own stream stands again: those who lost theirs with it may be back in a moment. */
  returned(): void {
    this.#awaySince.clear()
  }

  /** How many of the living frontends are about to be missing. */
  leaving(peers: readonly Pick<ProcessInfo, 'process'>[]): number {
    const living = new Set(peers.map(({ process }) => process))
    for (const process of this.#leaving) if (!living.has(process)) this.#leaving.delete(process)
    return this.#leaving.size
  }

  /** How many frontends are missing of the most that there were. `members` have a stream, `peers` live. */
  missing(members: readonly string[], peers: readonly Pick<ProcessInfo, 'process' | 'info'>[]): number {
    const present = new Set(members)
    const living = new Set(peers.map(({ process }) => process))
    for (const process of this.#heard)
      if (!living.has(process) && !this.#announced.has(process)) this.#heard.delete(process)
    const certain = members.filter(process => process === this.#self || this.#heard.has(process))
    this.#most = Math.max(this.#most, certain.length)
    for (const process of this.#left) if (!living.has(process)) this.#left.delete(process)
    for (const process of this.#awaySince.keys()) if (!living.has(process)) this.#awaySince.delete(process)
    for (const { process, info } of peers) {
      if (typeof info.most === 'number') this.#most = Math.max(this.#most, info.most)
      if (this.#hasPlace(process, info.link)) present.add(process)
    }
    for (const [process, at] of this.#announced) {
      const age = this.#now() - at
      if (age > announcedMs || (age > heartbeatMs && !living.has(process))) this.#announced.delete(process)
      else present.add(process)
    }
    return Math.max(0, this.#most - present.size)
  }

  /** Whether a frontend without a stream of its own in {@link missing}'s `members` has a connection all the same, or soon. */
  #hasPlace(process: string, link: unknown): boolean {
    if (link === 'away') {
      const since = this.#awaySince.get(process) ?? this.#now()
      this.#awaySince.set(process, since)
      return this.#now() - since < awayMs && !this.#left.has(process)
    }
    this.#awaySince.delete(process)
    return (link === 'leaving' || this.#leaving.has(process)) && !this.#left.has(process)
  }
}
