import type { Chat, Clock } from '@spectrum/network'

/** How long after it was sent a line may be refused. */
const REFUSAL_MS = 20_000
/** Of how many messages that is remembered. */
const MAX_SAID = 64

/** A message that the server may still refuse. */
export interface Said {
  readonly key: string
  readonly chat: Chat
  /** Whom it was for, as the server compares names. */
  readonly target: string
  /** Lines of it that have not been refused. */
  lines: number
  isRefused: boolean
  sentAt: number
}

/**
 * The messages that left lately. An IRC server says nothing of a line that it took and does not name one that it refuses,
 * only whom it was for: that is the newest one to them, whose lines have not all been refused yet.
 */
export class SaidLines {
  readonly #clock: Clock
  #said: Said[] = []

  constructor(clock: Clock) {
    this.#clock = clock
  }

  add(key: string, chat: Chat, target: string, lines: number): Said {
    const said = { key, chat, target, lines, isRefused: false, sentAt: this.#clock.monotonic() }
    if (this.#said.push(said) > MAX_SAID) this.#said.shift()
    return said
  }

  /** It waited for flood control and has left now. */
  left(said: Said): void {
    said.sentAt = this.#clock.monotonic()
  }

  /** A line to that target was refused: the message that it was of. */
  refused(target: string): Said | undefined {
    const since = this.#clock.monotonic() - REFUSAL_MS
    const said = this.#said.findLast(each => each.target === target && each.lines > 0 && each.sentAt >= since)
    if (said) said.lines--
    return said
  }

  /** The connection broke: nothing of it is answered any more. */
  clear(): void {
    this.#said = []
  }
}
