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

/** How long lines are kept: a server that is stopped may take some seconds to end our stream after it lost its clients. */
export const keptMs = 8_000
/** How long a bounce may follow the server's confirmation; clients that a server has just lost bounce at once. */
const bounceMs = 2_000
/** Confirmed so shortly before the server lost a client, a line had perhaps not left its memory. */
export const uncertainMs = 300
const maxLines = 20_000

/**
 * The room lines that the XMPP server confirmed last. What it confirmed it may still bounce, because the client was gone: an
 * error carries the id of the original and not the original, which is found here. And what it confirmed right before it
 * ended may never have reached a client that ended with it.
 */
export class RecentLines {
  readonly #now: () => number
  /** In order of confirmation. */
  readonly #lines = new Map<string, Told>()
  /** What clients may have missed that went with the last stream, by full JID, in order. */
  readonly #uncertain = new Map<string, RoomLine[]>()

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
    return line !== undefined && this.#now() - line.confirmedAt <= bounceMs ? line : undefined
  }

  /**
   * The stream ended. What was confirmed within the last moment, or within the last before its client was said to go, is
   * uncertain from now on.
   *
   * @param leftAt - when the server said that the resource goes, by the same clock
   */
  lost(leftAt: (fullJid: string) => number | undefined): void {
    const now = this.#now()
    for (const line of this.#lines.values()) {
      const fullJid = `${line.user}/${line.resource}`
      if (line.confirmedAt < (leftAt(fullJid) ?? now) - uncertainMs) continue
      const lines = this.#uncertain.get(fullJid)
      if (lines === undefined) this.#uncertain.set(fullJid, [line])
      else lines.push(line)
    }
    this.#lines.clear()
  }

  /** What the client may have missed, of one room or of all; once. */
  takeUncertain(fullJid: string, node?: string): RoomLine[] {
    const lines = this.#uncertain.get(fullJid)
    if (lines === undefined) return []
    const isTaken = ({ message }: RoomLine) => node === undefined || message.from?.node === node
    const left = lines.filter(line => !isTaken(line))
    if (left.length === 0) this.#uncertain.delete(fullJid)
    else this.#uncertain.set(fullJid, left)
    return lines.filter(isTaken)
  }

  /** Whoever has not missed anything by now has read it. */
  forgetUncertain(): void {
    this.#uncertain.clear()
  }

  /** How many lines were confirmed in the last so many milliseconds (8 s at most): a server that dies had perhaps not passed them on. */
  count(withinMs: number): number {
    const since = this.#now() - withinMs
    let count = 0
    for (const { confirmedAt } of this.#lines.values()) if (confirmedAt >= since) count++
    return count
  }
}

const keyOf = (fullJid: string, id: string): string => `${fullJid}\n${id}`
