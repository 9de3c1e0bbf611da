import { ConflictError, type Entry, type Ownership, placementKey } from '@spectrum/bus'
import {
  type LoginRequest,
  type Placement,
  Placement_State,
  type ReleaseRequest,
  type RemovePlacementRequest,
  type ReportIdleRequest,
} from '@spectrum/messages'
import { type Logger, NetworkError } from '@spectrum/network'
import type { Pool } from './first-fit.ts'
import { Generations } from './generations.ts'
import { Limiter } from './limiter.ts'
import type { Occupancy } from './occupancy.ts'
import { Spacing } from './spacing.ts'
import type { SessionStart, StartSessions } from './start-sessions.ts'
import { UserQueue } from './user-queue.ts'

export interface LeaderTermOptions {
  readonly ownership: Ownership
  readonly instance: string
  readonly occupancy: Occupancy
  /** Looks after the backends during the term, and ends with it. */
  readonly upkeep?: AsyncDisposable
  readonly sessions: StartSessions
  readonly log: Logger
  /** Least time between two users' coming to backends; 0: none. */
  readonly loginDelayMs?: number
  /** Whether idle users are moved to backends of their own. Default false. */
  readonly movesIdle?: boolean
  /** Who may log in: the account to start with, made now where the configuration says so; rejects `not-registered`. */
  readonly admit: (request: LoginRequest) => Promise<SessionStart>
  readonly onLogin: (result: 'placed' | 'present' | 'finished') => void
  readonly onMove?: (result: MoveResult) => void
  readonly onFenced: () => void
  /** Opens the term to requests of other routers; closed again before it ends. */
  readonly serve: (term: LeaderTerm) => Disposable
  /** Milliseconds since the epoch; the clock by default. */
  readonly now?: () => number
}

/** `gone`: the user does not sit there any more. */
export type MoveResult = 'moved' | 'finished' | 'gone' | 'failed'

/** Logins that are worked on at a time. */
const maxLogins = 256
/** Moves at a time: each makes a worker publish a snapshot and another one connect. */
const maxMoves = 16

/** Who asks: its trace, and when it stops waiting. */
export interface Asking {
  readonly traceparent?: string
  readonly signal?: AbortSignal
  /** How long the answer may take where users come one after the other; then `rate-limited`. Default: as long as need be. */
  readonly limitMs?: number
}

/** Placing users, as long as this router leads. What happens to one user happens one after the other. */
export class LeaderTerm implements AsyncDisposable {
  readonly occupancy: Occupancy
  readonly #options: LeaderTermOptions
  readonly #generations: Generations
  readonly #users = new UserQueue()
  readonly #logins = new Limiter(maxLogins)
  readonly #moves = new Limiter(maxMoves)
  readonly #spacing: Spacing
  readonly #serving: Disposable

  constructor(options: LeaderTermOptions) {
    this.#options = options
    this.occupancy = options.occupancy
    this.#generations = new Generations(options.now)
    this.#spacing = new Spacing(options.loginDelayMs ?? 0)
    this.#serving = options.serve(this)
    this.occupancy.onUnfinishedMove(user => void this.finishMove(user))
  }

  get mayAct(): boolean {
    return this.#options.ownership.mayAct()
  }

  /** Where the user sits, placed now if need be. Asking again changes nothing. Who has given up asking is passed over. */
  async login(request: LoginRequest, asking: Asking = {}): Promise<Placement> {
    if (this.#spacing.isNeeded) {
      // Who may not log in at all takes no turn from the others, and who waits holds nobody up.
      await this.#options.admit(request)
      await this.#spacing.turn(request.user, asking)
    }
    return this.#login(request, asking)
  }

  #login(request: LoginRequest, asking: Asking): Promise<Placement> {
    // Whoever asks has looked and found nothing: the first who asks is looked for once more only if that has changed.
    const isFirst = !this.#users.isBusy(request.user)
    return this.#users.run(request.user, () =>
      this.#logins.run(async () => {
        if (asking.signal?.aborted) throw new NetworkError('unavailable', 'Nobody waits for this login any more.')
        this.#assertLeading()
        const placement = isFirst ? await this.#tryLogin(request, undefined, asking) : undefined
        if (placement) return placement
        for (let attempt = 0; attempt < 3; attempt++) {
          const present = await this.#options.sessions.placementOf(request.user)
          const placement = await this.#tryLogin(request, present, asking)
          if (placement) return placement
          this.#options.onFenced()
        }
        throw new NetworkError('unavailable', 'Another router placed the user at the same time; please try again.')
      }),
    )
  }

  /** A generation that was in use before the placements were lost: the user's next one is above it. */
  remember(user: string, generation: number): void {
    this.#generations.seen(user, generation)
  }

  /** The session of that generation is over. */
  release({ user, generation, backend }: ReleaseRequest): Promise<void> {
    return this.#users.run(user, async () => {
      this.#assertLeading()
      const entry = await this.#options.sessions.placementOf(user)
      if (!entry) return
      const { movedFrom } = entry.value
      // A session that is over when it is asked to move is told under its old name.
      const isOver = [entry.value, movedFrom].some(
        place => place?.generation === generation && place.backend === backend,
      )
      if (isOver) await this.#remove(user, entry)
    })
  }

  /** Stops the session, if there is one, and removes the placement. */
  removePlacement({ user, reason }: RemovePlacementRequest): Promise<void> {
    return this.#users.run(user, async () => {
      this.#assertLeading()
      const { sessions } = this.#options
      const entry = await sessions.placementOf(user)
      if (!entry) return
      await sessions.stop(user, entry.value, reason, 'removed')
      await this.#remove(user, entry)
    })
  }

  /**
   * Moves the user's session from the backend to one of the pool, as long as the user sits there. The placement is written
   * first: whoever finds it so may ask the old backend again to hand the session over.
   */
  move(user: string, from: number, pool: Pool): Promise<MoveResult> {
    return this.#moving(user, async () => {
      const entry = await this.#options.sessions.placementOf(user)
      if (entry?.value.backend !== from || entry.value.state !== Placement_State.STATE_STARTED) return 'gone'
      const begun = await this.#beginMove(user, entry, pool)
      if (!begun) return 'gone'
      await this.#finishMove(user, begun)
      return 'moved'
    })
  }

  /** Moves users who sit on the backend to those for idle users. Users for whom it is too late are passed over. */
  async moveIdle({ backend, users }: ReportIdleRequest): Promise<void> {
    this.#assertLeading()
    if (!this.#options.movesIdle) throw new NetworkError('not-allowed', 'Idle users are not moved here.')
    if (this.occupancy.fit.poolOf(backend) !== 'normal') return
    await Promise.all(users.map(user => this.move(user, backend, 'long-run')))
  }

  /** Goes on with a move that a former leader began. */
  finishMove(user: string): Promise<MoveResult> {
    return this.#moving(user, async () => {
      const entry = await this.#options.sessions.placementOf(user)
      if (!entry?.value.movedFrom || entry.value.state === Placement_State.STATE_STARTED) return 'gone'
      await this.#finishMove(user, entry)
      return 'finished'
    })
  }

  /** Finishes what was begun and writes the counts. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#serving[Symbol.dispose]()
    this.#spacing[Symbol.dispose]()
    await this.#options.upkeep?.[Symbol.asyncDispose]()
    await this.#users.idle()
    await this.occupancy[Symbol.asyncDispose]()
  }

  /** Undefined when somebody else wrote the user's placement meanwhile. */
  async #tryLogin(
    request: LoginRequest,
    present: Entry<Placement> | undefined,
    { traceparent }: Asking,
  ): Promise<Placement | undefined> {
    const { sessions, admit, onLogin } = this.#options
    const { user } = request
    if (present?.value.state === Placement_State.STATE_STARTED) {
      onLogin('present')
      return present.value
    }
    const start = present?.value.movedFrom ? undefined : await admit(request)
    const entry = present ?? (await this.#place(user, start?.snapshot?.backend))
    if (!entry) return undefined
    const placement = await sessions.finish(user, entry, async () => start ?? admit(request), traceparent)
    onLogin(present ? 'finished' : 'placed')
    return placement
  }

  async #place(user: string, formerly?: number): Promise<Entry<Placement> | undefined> {
    const { occupancy, sessions } = this.#options
    const backend = await occupancy.begin(user, formerly)
    try {
      const entry = await sessions.create(user, backend, this.#generations.next(user))
      occupancy.end(user, backend)
      return entry
    } catch (error) {
      if (error instanceof ConflictError) {
        occupancy.end(user)
        return undefined
      }
      // It may have been written all the same: the user counts until somebody has looked.
      occupancy.end(user, backend)
      occupancy.doubt()
      throw error
    }
  }

  /** Undefined when somebody else wrote the user's placement meanwhile. */
  async #beginMove(user: string, entry: Entry<Placement>, pool: Pool): Promise<Entry<Placement> | undefined> {
    const { occupancy, sessions } = this.#options
    const from = entry.value.backend
    const to = await occupancy.beginMove(user, from, pool)
    this.#generations.seen(user, entry.value.generation)
    try {
      const generation = Math.max(this.#generations.next(user), entry.value.generation + 1)
      const begun = await sessions.beginMove(entry, to, generation)
      occupancy.end(user, to)
      return begun
    } catch (error) {
      if (error instanceof ConflictError) {
        occupancy.end(user, from)
        return undefined
      }
      occupancy.end(user, from, to)
      occupancy.doubt()
      throw error
    }
  }

  async #finishMove(user: string, entry: Entry<Placement>): Promise<void> {
    const { sessions } = this.#options
    await sessions.finish(user, entry, () => Promise.reject(new Error('a moved session brings its own start')))
  }

  #moving(user: string, work: () => Promise<MoveResult>): Promise<MoveResult> {
    const { onMove, log } = this.#options
    return this.#moves.run(() =>
      this.#users.run(user, async () => {
        let result: MoveResult = 'failed'
        try {
          this.#assertLeading()
          result = await work()
        } catch (error) {
          // What was written stays to be finished: by the user's next login, or the next leader.
          log.warn({ err: error, user }, 'a session could not be moved')
        }
        onMove?.(result)
        return result
      }),
    )
  }

  async #remove(user: string, entry: Entry<Placement>): Promise<void> {
    const { occupancy, sessions, instance } = this.#options
    const { backend, generation } = entry.value
    this.#generations.seen(user, generation)
    await occupancy.beginLeaving(user, backend)
    try {
      await sessions.placements.delete(placementKey(instance, user), entry.revision)
    } catch (error) {
      occupancy.end(user, backend)
      occupancy.doubt()
      throw error
    }
    occupancy.end(user)
  }

  #assertLeading(): void {
    if (!this.mayAct) throw new NetworkError('unavailable', 'This router does not lead any more.')
  }
}
