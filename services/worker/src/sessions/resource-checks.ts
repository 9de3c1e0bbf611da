import type { Session } from './session.ts'

export interface ResourceChecksOptions {
  /** Checks that all sessions together may ask for in a second; default 200. */
  readonly perSecond?: number
}

/** Sessions whose resources are verified for one reason. */
interface Round {
  /** True when nobody here may speak for the sessions any more. */
  isOver(): boolean
  done(): void
  left: number
}

const tickMs = 50

/** Asks for each resource of the session whether it is there still: a frontend pings it and reports those that are gone. How many. */
export function verifyResources(session: Session): number {
  const names = [...session.resources.names()]
  for (const resource of names) session.tell({ $case: 'resourceCheck', value: {} }, [resource])
  return names.length
}

/**
 * Verifies resources at a rate that all backends of a worker share: the loss of a component stream concerns everybody at once,
 * and each check is a request to somebody's client.
 */
export class ResourceChecks implements Disposable {
  readonly #perTick: number
  readonly #waiting = new Map<Session, Round[]>()
  #timer: NodeJS.Timeout | undefined
  /** Checks of the last tick beyond what it had: a session is verified whole. */
  #debt = 0

  constructor({ perSecond = 200 }: ResourceChecksOptions = {}) {
    this.#perTick = (perSecond * tickMs) / 1_000
  }

  /** Sessions that wait for their turn. */
  get waiting(): number {
    return this.#waiting.size
  }

  /**
   * Verifies these sessions when it is their turn; one that waits already is verified once.
   *
   * @param isOver - asked before each session; when true, the rest of the round is given up, and not done
   * @param done - called when all have been verified, or have ended
   */
  request(sessions: Iterable<Session>, isOver: () => boolean, done: () => void): void {
    const round: Round = { isOver, done, left: 0 }
    for (const session of sessions) {
      round.left++
      const rounds = this.#waiting.get(session)
      if (rounds === undefined) this.#waiting.set(session, [round])
      else rounds.push(round)
    }
    if (round.left === 0) return done()
    if (this.#timer !== undefined) return
    this.#timer = setInterval(() => this.#tick(), tickMs).unref()
    this.#tick()
  }

  #tick(): void {
    let allowance = this.#perTick - this.#debt
    for (const [session, rounds] of this.#waiting) {
      if (allowance <= 0) break
      this.#waiting.delete(session)
      const open = rounds.filter(round => !round.isOver())
      if (open.length > 0 && session.closing === undefined) allowance -= verifyResources(session)
      for (const round of open) if (--round.left === 0) round.done()
    }
    this.#debt = Math.max(0, -allowance)
    if (this.#waiting.size > 0 || this.#debt > 0) return
    clearInterval(this.#timer)
    this.#timer = undefined
  }

  [Symbol.dispose](): void {
    clearInterval(this.#timer)
    this.#waiting.clear()
  }
}
