import type { Socket } from 'node:net'
import { whenHeard } from './first-word.ts'

/** Connections to one host that may be about to be accepted at once. Listen backlogs are small: ngircd's is 10. */
const defaultWidth = 5
/** A server that says nothing for so long is not waited for: it has accepted the connection, or is busy with it. */
const patienceMs = 250

/**
 * Lets connections to the same host through a few at a time. When a server or a worker restarts, hundreds of sessions come
 * back in the same moment; a connection that finds the server's backlog full is only tried again by the kernel after 1, 3, 7 …
 * seconds, so that all together take longer than one after the other.
 */
export class Turnstile {
  readonly #width: number
  readonly #inside = new Map<string, number>()
  readonly #waiting = new Map<string, (() => void)[]>()

  constructor(width = defaultWidth) {
    this.#width = width
  }

  /**
   * Fulfils when it is this one's turn, in order of asking; rejects with the signal's reason when that comes first. Every turn
   * must be given back with {@link leave}.
   */
  async enter(host: string, signal: AbortSignal): Promise<void> {
    signal.throwIfAborted()
    const inside = this.#inside.get(host) ?? 0
    if (inside < this.#width) {
      this.#inside.set(host, inside + 1)
      return
    }
    const { promise, resolve, reject } = Promise.withResolvers<void>()
    const queue = this.#waiting.get(host) ?? []
    this.#waiting.set(host, queue)
    queue.push(resolve)
    const giveUp = () => {
      const at = queue.indexOf(resolve)
      // Not there any more: the turn has come in the same moment and is used.
      if (at < 0) return
      queue.splice(at, 1)
      reject(signal.reason)
    }
    signal.addEventListener('abort', giveUp, { once: true })
    try {
      await promise
    } finally {
      signal.removeEventListener('abort', giveUp)
    }
  }

  leave(host: string): void {
    const queue = this.#waiting.get(host)
    const next = queue?.shift()
    if (queue?.length === 0) this.#waiting.delete(host)
    // The place goes to the next in the queue: as many are inside as before.
    if (next !== undefined) return next()
    const inside = (this.#inside.get(host) ?? 1) - 1
    if (inside === 0) this.#inside.delete(host)
    else this.#inside.set(host, inside)
  }

  /** Gives the turn back once the server has said something on the socket, or the patience is over. */
  leaveWhenHeard(host: string, socket: Socket): void {
    whenHeard(socket, patienceMs, () => this.leave(host))
  }
}
