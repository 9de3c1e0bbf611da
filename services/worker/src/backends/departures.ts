import { setTimeout as delay } from 'node:timers/promises'
import type { Delivery } from '@spectrum/bus'
import { Command, type SessionSnapshot } from '@spectrum/messages'
import type { Logger } from '@spectrum/network'
import type { Session } from '../sessions/session.ts'
import { snapshotOf } from '../sessions/snapshots.ts'

type MoveSession = Extract<NonNullable<Command['command']>, { $case: 'moveSession' }>['value']

export interface DepartureOptions {
  readonly log: Logger
  /** Fulfils when the command is durable in the other backend's lane. */
  publish(command: Command, backend: number): Promise<void>
  deleteSnapshot(user: string): Promise<void>
  /** The session is here no more; what it had not done is to be forwarded. */
  gone(session: Session, undone: readonly Delivery<Command>[]): void
  /** The move is done. */
  done(delivery: Delivery<Command>): void
  isLost(): boolean
}

/** How long the command being handled may take to end; then it is begun anew on the other backend. */
const patienceMs = 2_000
const pollMs = 20

/** Sessions that leave this backend for another. */
export class Departures {
  readonly #options: DepartureOptions
  readonly #leaving = new Map<string, Promise<void>>()

  constructor(options: DepartureOptions) {
    this.#options = options
  }

  /** While the user's session leaves: fulfils when it has left. What comes for it meanwhile goes after it. */
  leaving(user: string): Promise<void> | undefined {
    return this.#leaving.get(user)
  }

  /**
   * Stops the session, telling nobody, and starts it with its snapshot on the other backend. Its snapshot here is removed only
   * when the start is durable there, and the command finished after that: wherever a crash interrupts it, the next owner of
   * this backend does it again, and the other starts a generation once.
   */
  begin(session: Session, delivery: Delivery<Command>, move: MoveSession): void {
    const { user } = session
    const leaving = this.#leave(session, delivery, move)
      .catch(error => this.#options.log.error({ err: error, user }, 'a session could not be moved'))
      .finally(() => this.#leaving.delete(user))
    this.#leaving.set(user, leaving)
  }

  async #leave(session: Session, delivery: Delivery<Command>, move: MoveSession): Promise<void> {
    const { user } = session
    const { publish, deleteSnapshot, gone, done, isLost, log } = this.#options
    const waiting = session.queue.close()
    for (let waitedMs = 0; session.queue.isBusy && waitedMs < patienceMs; waitedMs += pollMs) await delay(pollMs)
    await session.snapshots.flush()
    if (isLost()) return
    const begun = session.queue.takeBack()
    await session.suspend()
    // What was said to the end in rooms where nobody of the user's is goes with the session.
    const snapshot = { ...snapshotOf(session), generation: move.generation }
    const start = startOf(session, move, snapshot)
    // What the network said to the end comes before what it says to the session there.
    if (!(await this.#persist(() => session.events.lane.durable()))) return
    if (!(await this.#persist(() => publish(start, move.backend)))) return
    if (!(await this.#persist(() => deleteSnapshot(user)))) return
    gone(session, [...begun, ...waiting])
    log.info({ user, to: move.backend, generation: move.generation }, 'a session was moved')
    done(delivery)
  }

  /** For as long as the backend is ours; false when it is not any more. */
  async #persist(action: () => Promise<void>): Promise<boolean> {
    for (let waitMs = 100; ; waitMs = Math.min(waitMs * 2, 5_000)) {
      if (this.#options.isLost()) return false
      try {
        await action()
        return true
      } catch (error) {
        this.#options.log.warn({ err: error }, 'a session cannot be moved yet, trying on')
        await delay(waitMs)
      }
    }
  }
}

const startOf = ({ user, username, settings }: Session, move: MoveSession, snapshot: SessionSnapshot): Command =>
  Command.create({
    // As the router names the start of a generation: whoever says it twice says the same.
    key: `start:${move.generation}:${user}`,
    user,
    generation: move.generation,
    command: { $case: 'startSession', value: { username, settings: { ...settings }, snapshot } },
  })
