import { bareOf } from './addresses.ts'

/** A server that shuts down tells of its clients' going first, and closes our stream right after. */
const shutdownMs = 1_000
/** A room that is left alone: most leave by themselves and want to see it. */
const leaveMs = 250
/** How long the clients of a server that was restarted may take to come back. */
const returnMs = 120_000

interface Held {
  /** When the server first said it; milliseconds, monotonic. */
  readonly at: number
  timer: NodeJS.Timeout
  isWhole: boolean
  /** What the server said of the resource, in order. */
  readonly actions: (() => void)[]
}

/** What leaves: a resource as a whole, or one of its rooms. */
export type Departure = 'resource' | 'room'

export interface DeparturesOptions {
  /** Signs a resource out that has not come back. */
  signOut(fullJid: string): void
  /** Milliseconds; defaults 1 s and 2 min. */
  readonly shutdownMs?: number
  readonly returnMs?: number
}

/**
 * Tells users who leave from an XMPP server that is restarted: when it goes, all its clients go, and come back within a minute.
 * Who is signed out meanwhile would leave every room of the network. Some servers say that they speak for a client
 * ("Disconnected: …", Prosody), some do not (ejabberd): so that somebody goes is acted on only when our stream survives it, and
 * for a time after a new stream a resource that does not exist is given that time to return.
 *
 * Kept in memory only: after a crash of this process the sessions ask for every resource, and who is gone is found again.
 */
export class Departures {
  readonly #options: DeparturesOptions
  readonly #held = new Map<string, Held>()
  readonly #missing = new Set<string>()
  #return: NodeJS.Timeout | undefined

  constructor(options: DeparturesOptions) {
    this.#options = options
  }

  /** There is a new stream. `isMistrusted`: the server may have been restarted since the last. */
  opened(isMistrusted: boolean): void {
    if (!isMistrusted && this.#missing.size === 0) return
    clearTimeout(this.#return)
    this.#return = setTimeout(() => this.#returned(), this.#options.returnMs ?? returnMs)
    this.#return.unref()
  }

  /** When the server said that a resource goes, or the first one of a bare JID, while that is not acted on. Milliseconds, monotonic. */
  leftTimes(): ReadonlyMap<string, number> {
    const times = new Map<string, number>()
    for (const [fullJid, { at }] of this.#held) {
      const bare = bareOf(fullJid)
      times.set(fullJid, at)
      times.set(bare, Math.min(at, times.get(bare) ?? at))
    }
    return times
  }

  /** The stream is gone: whoever was about to leave may have gone with the server only. True when there is such a one. */
  lost(): boolean {
    // It runs while clients can return.
    clearTimeout(this.#return)
    const isServerGoing = [...this.#held.values()].some(({ isWhole }) => isWhole)
    for (const [fullJid, { timer }] of this.#held) {
      clearTimeout(timer)
      this.#missing.add(fullJid)
    }
    this.#held.clear()
    return isServerGoing
  }

  /** Unavailable presence of this resource: acted on when the stream is still there a moment later. */
  left(fullJid: string, what: Departure, act: () => void): void {
    const held = this.#held.get(fullJid)
    const later = (ms: number) => setTimeout(() => this.#leave(fullJid), ms)
    const longMs = this.#options.shutdownMs ?? shutdownMs
    if (held === undefined) {
      const timer = later(what === 'resource' ? longMs : Math.min(longMs, leaveMs))
      this.#held.set(fullJid, { at: performance.now(), timer, isWhole: what === 'resource', actions: [act] })
      return
    }
    held.actions.push(act)
    if (what === 'room') return
    held.isWhole = true
    clearTimeout(held.timer)
    held.timer = later(longMs)
  }

  /**
   * A stanza to this resource came back. True when the resource is given time to return; else it leaves as one of which the
   * server said so: one that shuts down first sends back what is for those who are gone.
   */
  bounced(fullJid: string, act: () => void): boolean {
    if (this.#return === undefined) {
      if (this.#held.get(fullJid)?.isWhole !== true) this.left(fullJid, 'resource', act)
      return false
    }
    this.#missing.add(fullJid)
    return true
  }

  /** The resource speaks: what was said of it before comes first. */
  heard(fullJid: string): void {
    if (this.#held.size > 0) this.#leave(fullJid)
    if (this.#missing.size > 0) this.#missing.delete(fullJid)
  }

  /** Acts on everything that is held: nobody will be here to do it later. */
  flush(): void {
    for (const fullJid of [...this.#held.keys()]) this.#leave(fullJid)
    clearTimeout(this.#return)
  }

  #leave(fullJid: string): void {
    const held = this.#held.get(fullJid)
    if (held === undefined) return
    this.#held.delete(fullJid)
    clearTimeout(held.timer)
    for (const act of held.actions) act()
  }

  #returned(): void {
    this.#return = undefined
    const missing = [...this.#missing]
    this.#missing.clear()
    for (const fullJid of missing) this.#options.signOut(fullJid)
  }
}
