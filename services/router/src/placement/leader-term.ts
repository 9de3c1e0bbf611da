import { ConflictError, type Entry, type Ownership, placementKey } from '@spectrum/bus'
import {
  type LoginRequest,
  type Placement,
  Placement_State,
  type ReleaseRequest,
  type RemovePlacementRequest,
} from '@spectrum/messages'
import { NetworkError } from '@spectrum/network'
import { Generations } from './generations.ts'
import { Limiter } from './limiter.ts'
import type { Occupancy } from './occupancy.ts'
import type { SessionStart, StartSessions } from './start-sessions.ts'
import { UserQueue } from './user-queue.ts'

export interface LeaderTermOptions {
  readonly ownership: Ownership
  readonly instance: string
  readonly occupancy: Occupancy
  readonly sessions: StartSessions
  /** Who may log in: the account to start with, made now where the configuration says so; rejects `not-registered`. */
  readonly admit: (request: LoginRequest) => Promise<SessionStart>
  readonly onLogin: (result: 'placed' | 'present' | 'finished') => void
  readonly onFenced: () => void
  /** Opens the term to requests of other routers; closed again before it ends. */
  readonly serve: (term: LeaderTerm) => Disposable
  /** Milliseconds since the epoch; the clock by default. */
  readonly now?: () => number
}

/** Logins that are worked on at a time. */
const maxLogins = 64

/** Who asks: its trace, and when it stops waiting. */
export interface Asking {
  readonly traceparent?: string
  readonly signal?: AbortSignal
}

/** Placing users, as long as this router leads. What happens to one user happens one after the other. */
export class LeaderTerm implements AsyncDisposable {
  readonly occupancy: Occupancy
  readonly #options: LeaderTermOptions
  readonly #generations: Generations
  readonly #users = new UserQueue()
  readonly #logins = new Limiter(maxLogins)
  readonly #serving: Disposable

  constructor(options: LeaderTermOptions) {
    this.#options = options
    this.occupancy = options.occupancy
    this.#generations = new Generations(options.now)
    this.#serving = options.serve(this)
  }

  get mayAct(): boolean {
    return this.#options.ownership.mayAct()
  }

  /** Where the user sits, placed now if need be. Asking again changes nothing. Who has given up asking is passed over. */
  login(request: LoginRequest, { traceparent, signal }: Asking = {}): Promise<Placement> {
    return this.#users.run(request.user, () =>
      this.#logins.run(async () => {
        if (signal?.aborted) throw new NetworkError('unavailable', 'Nobody waits for this login any more.')
        this.#assertLeading()
        for (let attempt = 0; attempt < 3; attempt++) {
          const placement = await this.#tryLogin(request, traceparent)
          if (placement) return placement
          this.#options.onFenced()
        }
        throw new NetworkError('unavailable', 'Another router placed the user at the same time; please try again.')
      }),
    )
  }

  /** The session of that generation is over. */
  release({ user, generation, backend }: ReleaseRequest): Promise<void> {
    return this.#users.run(user, async () => {
      this.#assertLeading()
      const entry = await this.#options.sessions.placementOf(user)
      if (entry?.value.generation === generation && entry.value.backend === backend) await this.#remove(user, entry)
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

  /** Finishes what was begun and writes the counts. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#serving[Symbol.dispose]()
    await this.#users.idle()
    await this.occupancy[Symbol.asyncDispose]()
  }

  /** Undefined when somebody else wrote the user's placement meanwhile. */
  async #tryLogin(request: LoginRequest, traceparent?: string): Promise<Placement | undefined> {
    const { sessions, admit, onLogin } = this.#options
    const { user } = request
    const present = await sessions.placementOf(user)
    if (present?.value.state === Placement_State.STATE_STARTED) {
      onLogin('present')
      return present.value
    }
    const start = await admit(request)
    const entry = present ?? (await this.#place(user))
    if (!entry) return undefined
    const placement = await sessions.finish(user, entry, start, traceparent)
    onLogin(present ? 'finished' : 'placed')
    return placement
  }

  async #place(user: string): Promise<Entry<Placement> | undefined> {
    const { occupancy, sessions } = this.#options
    const backend = await occupancy.begin(user)
    try {
      const entry = await sessions.create(user, backend, this.#generations.next(user))
      occupancy.end(user, backend, backend, 0)
      return entry
    } catch (error) {
      if (error instanceof ConflictError) {
        occupancy.end(user, backend, undefined, -1)
        return undefined
      }
      // It may have been written all the same: the user counts until somebody has looked.
      occupancy.end(user, backend, backend, 0)
      occupancy.doubt()
      throw error
    }
  }

  async #remove(user: string, entry: Entry<Placement>): Promise<void> {
    const { occupancy, sessions, instance } = this.#options
    const { backend, generation } = entry.value
    this.#generations.seen(user, generation)
    await occupancy.beginLeaving(user, backend)
    try {
      await sessions.placements.delete(placementKey(instance, user), entry.revision)
    } catch (error) {
      occupancy.end(user, backend, backend, 0)
      occupancy.doubt()
      throw error
    }
    occupancy.end(user, backend, undefined, -1)
  }

  #assertLeading(): void {
    if (!this.mayAct) throw new NetworkError('unavailable', 'This router does not lead any more.')
  }
}
