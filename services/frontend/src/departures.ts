/** A server that shuts down tells of its clients' going first, and closes our stream right after. */
const shutdownMs = 1_000
/** How long the clients of a server that was restarted may take to come back. */
const returnMs = 120_000

interface Held {
  readonly timer: NodeJS.Timeout
  /** What the server said of the resource, in order. */
  readonly actions: (() => void)[]
}

export interface DeparturesOptions {
  /** Signs a resource out that has not come back. */
  signOut(fullJid: string): void
  /** Milliseconds; defaults 1 s and 2 min. */
  readonly shutdownMs?: number
  readonly returnMs?: number
}

/**
 * Tells users who leave from an XMPP server that is restarted: when it goes, all its clients go, and come back within a minute.
 * Who is signed out meanwhile would leave every room of the network. So what a server says of a lost client is acted on only
 * when our stream survives it, and for a time after a new stream a resource that does not exist is given that time to return.
 *
 * Kept in memory only: after a crash of this process a resource that is gone is found out by the next stanza to it.
 */
export class Departures {
  readonly #options: DeparturesOptions
  readonly #held = new Map<string, Held>()
  readonly #missing = new Set<string>()
  #wasOnline = false
  #return: NodeJS.Timeout | undefined

  constructor(options: DeparturesOptions) {
    this.#options = options
  }

  /** There is a new stream. */
  opened(): void {
    if (!this.#wasOnline) {
      this.#wasOnline = true
      return
    }
    clearTimeout(this.#return)
    this.#return = setTimeout(() => this.#returned(), this.#options.returnMs ?? returnMs)
    this.#return.unref()
  }

  /** The stream is gone: whoever was about to leave may have gone with the server only. */
  lost(): void {
    for (const [fullJid, { timer }] of this.#held) {
      clearTimeout(timer)
      this.#missing.add(fullJid)
    }
    this.#held.clear()
  }

  /** The server said that this resource was disconnected: acted on when the stream is still there a moment later. */
  disconnected(fullJid: string, act: () => void): void {
    const held = this.#held.get(fullJid)
    if (held !== undefined) {
      held.actions.push(act)
      return
    }
    const timer = setTimeout(() => this.#leave(fullJid), this.#options.shutdownMs ?? shutdownMs)
    this.#held.set(fullJid, { timer, actions: [act] })
  }

  /** A stanza to this resource came back. True when the resource is given time to return. */
  bounced(fullJid: string): boolean {
    if (this.#return === undefined) return false
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
