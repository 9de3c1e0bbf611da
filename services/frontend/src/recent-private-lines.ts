import type { Event } from '@spectrum/messages'
import { keptMs, uncertainMs } from './recent-lines.ts'

/** A private line as it was told to one resource; to the person, where that is empty. */
export interface PrivateLine {
  /** Grows with the time at which it came first. */
  readonly order: number
  readonly event: Event
  readonly resource: string
}

const maxLines = 20_000

/**
 * The private lines that the XMPP server confirmed last: what it confirmed right before it ended may have reached neither a client
 * nor its store of offline messages (XEP-0160), as both end with it.
 */
export class RecentPrivateLines {
  readonly #now: () => number
  #lines: { readonly line: PrivateLine; readonly confirmedAt: number }[] = []
  #uncertain: PrivateLine[] = []

  constructor(now: () => number = () => performance.now()) {
    this.#now = now
  }

  confirmed(line: PrivateLine): void {
    const now = this.#now()
    this.#lines.push({ line, confirmedAt: now })
    // Now and then, as each time would move all of them.
    if (this.#lines.length % 1_000 === 0 || this.#lines.length > maxLines)
      this.#lines = this.#lines.filter(({ confirmedAt }) => now - confirmedAt <= keptMs).slice(-maxLines / 2)
  }

  /** How many were confirmed in the last so many milliseconds (8 s at most). */
  count(withinMs: number): number {
    const since = this.#now() - withinMs
    return this.#lines.filter(({ confirmedAt }) => confirmedAt >= since).length
  }

  /**
   * The stream ended.
   *
   * @param leftAt - when the server said that a resource goes, or the first one of a bare JID, by the same clock
   */
  lost(leftAt: (jid: string) => number | undefined): void {
    const now = this.#now()
    for (const { line, confirmedAt } of this.#lines) {
      const { user } = line.event
      const goneAt = leftAt(line.resource === '' ? user : `${user}/${line.resource}`) ?? now
      if (confirmedAt >= goneAt - uncertainMs) this.#uncertain.push(line)
    }
    this.#lines = []
  }

  /** What may not have been read, oldest first; once. */
  takeUncertain(): PrivateLine[] {
    return this.#uncertain.splice(0).sort((a, b) => a.order - b.order)
  }
}
