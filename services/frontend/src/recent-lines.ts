import type { MessageReceived } from '@spectrum/messages'

/** A line of a room, as it was told to one resource. */
export interface RoomLine {
  readonly user: string
  readonly resource: string
  readonly message: MessageReceived
  readonly atMs: number
}

interface Told extends RoomLine {
  readonly confirmedAt: number
}

/** How long a bounce may follow the server's confirmation; clients that a server has just lost bounce at once. */
const keptMs = 2_000
const maxLines = 20_000

/**
 * The room lines that the XMPP server confirmed last. What it confirmed it may still bounce, because the client was gone: an
 * error carries the id of the original and not the original, which is found here.
 */
export class RecentLines {
  readonly #now: () => number
  /** In order of confirmation. */
  readonly #lines = new Map<string, Told>()

  constructor(now: () => number = () => performance.now()) {
    this.#now = now
  }

  confirmed(line: RoomLine): void {
    const now = this.#now()
    const key = keyOf(`${line.user}/${line.resource}`, line.message.id)
    this.#lines.delete(key)
    this.#lines.set(key, { ...line, confirmedAt: now })
    for (const [oldest, { confirmedAt }] of this.#lines) {
      if (now - confirmedAt <= keptMs && this.#lines.size <= maxLines) break
      this.#lines.delete(oldest)
    }
  }

  /** The line that bounced, once; `undefined` when it is none, or too long ago. */
  bounced(fullJid: string, id: string): RoomLine | undefined {
    const key = keyOf(fullJid, id)
    const line = this.#lines.get(key)
    this.#lines.delete(key)
    return line !== undefined && this.#now() - line.confirmedAt <= keptMs ? line : undefined
  }

  /** How many lines were confirmed in the last so many milliseconds (2 s at most): a server that dies had perhaps not passed them on. */
  count(withinMs: number): number {
    const since = this.#now() - withinMs
    let count = 0
    for (const { confirmedAt } of this.#lines.values()) if (confirmedAt >= since) count++
    return count
  }
}

const keyOf = (fullJid: string, id: string): string => `${fullJid}\n${id}`
