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
  /** Gives it to the user's session here. False when there is none with that generation, or an older one. */
  deliver(delivery: Delivery<Command>): boolean
  /** The user is placed here but no session runs: starts one. */
  start(user: string, placement: Placement): void
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
    const { user } = delivery.item
    const waiting = this.#waiting.get(user)
    if (waiting === undefined) {
      const own = [delivery]
      this.#waiting.set(user, own)
      this.#run(user, own).catch(error => this.#options.onFailure(error, delivery.item))
    } else waiting.push(delivery)
  }

  async #run(user: string, waiting: Delivery<Command>[]): Promise<void> {
    try {
      for (let delivery = waiting[0]; delivery !== undefined; delivery = waiting[0]) {
        if (this.#options.isLost()) return
        await this.#settle(delivery, waiting.length > maxWaiting)
        waiting.shift()
      }
    } finally {
      this.#waiting.delete(user)
    }
  }

  /** Tries for as long as it takes while the bus or the router is away; what cannot be decided is refused. */
  async #settle(delivery: Delivery<Command>, isTooMany: boolean): Promise<void> {
    const { deliver, refuse, onFailure } = this.#options
    for (let attempt = 0; !this.#options.isLost(); attempt++) {
      if (deliver(delivery)) return
      if (isTooMany) return refuse(delivery, new NetworkError('rate-limited', 'Too much waits to be handled.'))
      try {
        return await this.#route(delivery)
      } catch (reason) {
        const error = NetworkError.from(reason)
        if (error.code === 'unexpected') onFailure(error.cause, delivery.item)
        if (error.code !== 'unavailable' || attempt >= 20) return refuse(delivery, error)
      }
      await delay(Math.min(1_000, 50 * 2 ** attempt))
    }
  }

  async #route(delivery: Delivery<Command>): Promise<void> {
    const { backend, placementOf, login, forward, deliver, start, evict, refuse, ignore } = this.#options
    const command = delivery.item
    const body = command.command
    // An old stop must not reach a newer session, and one that is over needs no stop.
    if (body?.$case === 'stopSession' || body?.$case === 'componentConnected') return ignore(delivery, 'no-session')
    let placement = await placementOf(command.user)
    if (placement === undefined && opensSession(command)) {
      placement = await login(command.user, body?.$case === 'joinRoom' ? (body.value.room?.resource ?? '') : '')
      // The new session's StartSession is on its lane before this.
      if (placement.backend === backend) start(command.user, placement)
    }
    if (placement === undefined) {
      if (isFarewell(command)) return ignore(delivery, 'no-session')
      return refuse(delivery, new NetworkError('signed-out', 'You are not signed in.'))
    }
    if (placement.backend === backend) {
      start(command.user, placement)
      command.generation = placement.generation
      if (deliver(delivery)) return
      return refuse(delivery, new NetworkError('unavailable', 'The session is being moved.'))
    }
    evict(command.user, placement)
    if (command.forwards >= 2) return refuse(delivery, new NetworkError('unavailable', 'The session is being moved.'))
    await forward({ ...command, generation: placement.generation, forwards: command.forwards + 1 }, placement.backend)
    ignore(delivery, 'forwarded')
  }
}

/** Whether a command may bring a session about: a resource that comes, or a join. */
const opensSession = ({ command }: Command): boolean =>
  command?.$case === 'joinRoom' || (command?.$case === 'setPresence' && command.value.show !== Show.SHOW_OFFLINE)

/** Whether a command makes no sense, and harms nobody, without a session: somebody who leaves. */
const isFarewell = ({ command }: Command): boolean =>
  command?.$case === 'leaveRoom' || (command?.$case === 'setPresence' && command.value.show === Show.SHOW_OFFLINE)
