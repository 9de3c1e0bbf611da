import { setTimeout as delay } from 'node:timers/promises'
import type { Delivery } from '@spectrum/bus'
import { type Command, type Placement, Show } from '@spectrum/messages'
import { NetworkError } from '@spectrum/network'

/** What strays need of the backend that got them and of the router. */
export interface StrayOptions {
  /** This backend's number. */
  readonly backend: number
  placementOf(user: string): Promise<Placement | undefined>
  /** Places the user anew. Rejects NetworkError. */
  login(user: string, nickHint: string): Promise<Placement>
  /** Hands the command to another backend's lane; fulfils when it is durable there. */
  forward(command: Command, backend: number): Promise<void>
  /** It is another backend's now. */
  passedOn(delivery: Delivery<Command>): void
  /** Gives it to the user's session here. False when there is none with that generation, or an older one. */
  deliver(delivery: Delivery<Command>): boolean
  /** The user is placed here but no session runs: starts one. */
  start(user: string, placement: Placement): void
  /** Fulfils when the user's session here, which is ending, has ended; undefined when none is ending. */
  closing(user: string): Promise<void> | undefined
  /** The user's session of this generation has been here and ended. */
  isOver(user: string, generation: number): boolean
  /** The user is placed elsewhere: a session that is older than that ends. */
  evict(user: string, placement: Placement): void
  refuse(delivery: Delivery<Command>, error: NetworkError): void
  /** Nothing is to be done. */
  ignore(delivery: Delivery<Command>, reason: string): void
  isLost(): boolean
  onFailure(error: unknown, command: Command): void
}

/** Most commands of one user that may wait for the answer of the placements or the router. */
const maxWaiting = 200

/**
 * Commands whose session is not here, or whose sender knew another generation: the placement tells where they belong. One
 * user's are handled in order, and while some wait, all later ones of that user wait behind them.
 */
export class Strays {
  readonly #options: StrayOptions
  readonly #waiting = new Map<string, Delivery<Command>[]>()

  constructor(options: StrayOptions) {
    this.#options = options
  }

  get size(): number {
    return this.#waiting.size
  }

  has(user: string): boolean {
    return this.#waiting.has(user)
  }

  offer(delivery: Delivery<Command>): void {
    this.#add(delivery.item.user, [delivery], waiting => waiting.push(delivery))
  }

  /** What a session that has ended had not begun: older than all of that user's that wait here. */
  offerFirst(user: string, deliveries: readonly Delivery<Command>[]): void {
    this.#add(user, [...deliveries], waiting => waiting.unshift(...deliveries))
  }

  #add(user: string, first: Delivery<Command>[], join: (waiting: Delivery<Command>[]) => void): void {
    const waiting = this.#waiting.get(user)
    if (waiting !== undefined) return void join(waiting)
    const [oldest] = first
    if (oldest === undefined) return
    this.#waiting.set(user, first)
    this.#run(user, first).catch(error => this.#options.onFailure(error, oldest.item))
  }

  async #run(user: string, waiting: Delivery<Command>[]): Promise<void> {
    try {
      for (let delivery = waiting[0]; delivery !== undefined; delivery = waiting[0]) {
        if (this.#options.isLost()) return
        await this.#settle(delivery, waiting)
      }
    } finally {
      this.#waiting.delete(user)
    }
  }

  /**
   * Tries for as long as it takes while the bus or the router is away; what cannot be decided is refused. Comes back
   * without having done anything when an older one of the user's has come meanwhile: that one is first.
   */
  async #settle(delivery: Delivery<Command>, waiting: Delivery<Command>[]): Promise<void> {
    const { closing, deliver, refuse, onFailure, isLost } = this.#options
    const { user } = delivery.item
    // What is decided is decided at once: between taking the oldest and handing it on nothing else may happen.
    const take = (action: () => void) => {
      if (waiting[0] !== delivery) return
      waiting.shift()
      action()
    }
    for (let attempt = 0; waiting[0] === delivery && !isLost(); attempt++) {
      await closing(user)
      if (waiting[0] !== delivery) return
      if (deliver(delivery)) return void waiting.shift()
      if (waiting.length > maxWaiting)
        return take(() => refuse(delivery, new NetworkError('rate-limited', 'Too much waits to be handled.')))
      try {
        const action = await this.#route(delivery)
        if (closing(user) === undefined) return take(action)
      } catch (reason) {
        const error = NetworkError.from(reason)
        if (error.code === 'unexpected') onFailure(error.cause, delivery.item)
        if (error.code !== 'unavailable' || attempt >= 20) return take(() => refuse(delivery, error))
        await delay(Math.min(1_000, 50 * 2 ** attempt))
      }
    }
  }

  /** Finds out where it belongs, and returns what is to be done with it. */
  async #route(delivery: Delivery<Command>): Promise<() => void> {
    const { backend, placementOf, login, forward, passedOn, deliver, start, isOver, evict, refuse, ignore } =
      this.#options
    const command = delivery.item
    const { user, command: body } = command
    const moved = () => refuse(delivery, new NetworkError('unavailable', 'The session is being moved.'))
    // An old stop must not reach a newer session, and one that is over needs no stop.
    if (body?.$case === 'stopSession' || body?.$case === 'componentConnected' || body?.$case === 'moveSession')
      return () => ignore(delivery, 'no-session')
    let placement = await placementOf(user)
    if (placement === undefined && opensSession(command))
      placement = await login(user, body?.$case === 'joinRoom' ? (body.value.room?.resource ?? '') : '')
    if (placement === undefined) {
      if (isFarewell(command)) return () => ignore(delivery, 'no-session')
      return () => refuse(delivery, new NetworkError('signed-out', 'You are not signed in.'))
    }
    const { backend: target, generation, movedFrom } = placement
    // A session comes from another backend, with its snapshot; started without, it would have forgotten everything.
    if (target === backend && movedFrom !== undefined && movedFrom.backend !== backend && !isOver(user, generation))
      throw new NetworkError('unavailable', 'The session is being moved.')
    if (target === backend)
      return () => {
        // The new session's StartSession is on this lane; who waits for it need not wait until it is read.
        start(user, placement)
        command.generation = generation
        if (!deliver(delivery)) moved()
      }
    if (command.forwards >= 2) return moved
    // Durable there before the next one of the user's is looked at.
    await forward({ ...command, generation, forwards: command.forwards + 1 }, target)
    return () => {
      evict(user, placement)
      passedOn(delivery)
    }
  }
}

/** Whether a command may bring a session about: a resource that comes, or a join. */
const opensSession = ({ command }: Command): boolean =>
  command?.$case === 'joinRoom' || (command?.$case === 'setPresence' && command.value.show !== Show.SHOW_OFFLINE)

/** Whether a command makes no sense, and harms nobody, without a session: somebody who leaves. */
const isFarewell = ({ command }: Command): boolean =>
  command?.$case === 'leaveRoom' || (command?.$case === 'setPresence' && command.value.show === Show.SHOW_OFFLINE)
