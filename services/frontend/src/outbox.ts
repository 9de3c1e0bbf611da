import { AbandonedError, type Bus, type Client, commandLane, LaneFullError, type LanePublisher } from '@spectrum/bus'
import { type Command, commandCodec, type Placement, RouterDefinition, Show } from '@spectrum/messages'
import { type Logger, NetworkError } from '@spectrum/network'
import type { FrontendMetrics } from './metrics.ts'
import type { Placements } from './placements.ts'

/** A command that needs only the placement's generation to leave. */
export interface Outgoing {
  readonly command: Command
  /** `login`: signs the user in when they are not. `optional`: leads to nothing then. `required`: is refused then. */
  readonly session: 'login' | 'optional' | 'required'
  /** For auto-registration: the nick of a room join. */
  readonly nickHint?: string
  /** The command did not leave. Called at most once. */
  onFailed(error: NetworkError): void
}

export interface OutboxOptions {
  readonly bus: Bus
  readonly instance: string
  readonly placements: Placements
  readonly log: Logger
  readonly metrics: FrontendMetrics
  /** Whether only those who registered can be signed in, as far as is known. */
  isRegistrationNeeded(): boolean
  /** Too much is unpublished: the source of commands should wait. */
  onCongested(): void
  onRelieved(): void
}

const maxPendingItems = 200
const maxPendingBytes = 256 * 1024
/** Unpublished of all users together, waiting for a placement or for the bus; beyond it reading pauses. */
const congestedBytes = 256 * 1024
/**
 * What waits for a login that no router answers yet does not pause reading, or a few who wait would silence everybody else. So much of
 * it is kept; what comes beyond is refused.
 */
const maxUnansweredBytes = 2 ** 20
/** How long a lookup or login is tried while nobody answers it. */
const patienceMs = 20_000
const retryMs = 500
/** How long one try waits: a router that died with the question must leave time for others to answer it. */
const loginMs = 5_000

interface Queue {
  readonly items: Outgoing[]
  bytes: number
  /** No router answers its login, or it is not its turn yet. */
  isUnanswered: boolean
}

/**
 * The way of commands to the workers. Commands of one user leave in the order in which they came, also while the user is
 * being signed in.
 */
export class Outbox {
  readonly #options: OutboxOptions
  readonly #router: Client<typeof RouterDefinition>
  readonly #queues = new Map<string, Queue>()
  readonly #publishers = new Map<number, LanePublisher<Command>>()
  /** Of all queues, and of those whose login is not answered. */
  #pendingBytes = 0
  #unansweredBytes = 0
  #isCongested = false
  #isStopping = false
  #isClosed = false

  constructor(options: OutboxOptions) {
    this.#options = options
    this.#router = options.bus.client(RouterDefinition, { timeoutMs: loginMs })
    options.bus.onPublishProgress(() => this.#checkCongestion())
  }

  send(item: Outgoing): void {
    if (this.#isClosed) return this.#giveUp(item, new AbandonedError(true))
    const { user } = item.command
    const queue = this.#queues.get(user)
    if (queue !== undefined) return this.#wait(queue, item)
    const placement = this.#options.placements.cached(user)
    if (placement !== undefined) return this.#publish(item, placement)
    const started: Queue = { items: [], bytes: 0, isUnanswered: false }
    this.#queues.set(user, started)
    this.#wait(started, item)
    void this.#work(user, started)
  }

  /** True while the source of commands should wait. */
  get isCongested(): boolean {
    return this.#isCongested
  }

  /** Takes commands again, after an {@link abandon} by which this process only gave the component up. */
  reopen(): void {
    this.#isClosed = false
    this.#isStopping = false
  }

  /** From now on no lookup or login is tried again: what waits for one is answered with an error. */
  giveUpWaiting(): void {
    this.#isStopping = true
  }

  /** Fulfils with true when nothing waits any more and everything is durable, with false after `deadlineMs`. */
  async settled(deadlineMs: number): Promise<boolean> {
    const late = Promise.withResolvers<boolean>()
    const timeout = setTimeout(() => late.resolve(false), deadlineMs)
    const durable = async () => {
      while (this.#queues.size > 0) await new Promise(resolve => setTimeout(resolve, 20))
      await Promise.all([...this.#publishers.values()].map(publisher => publisher.durable()))
      return true
    }
    const isSettled = await Promise.race([durable(), late.promise])
    clearTimeout(timeout)
    return isSettled
  }

  /**
   * The last word on what could not be published, while there is still a stream to answer on: each such command fails, and
   * so does every later one. What was handed to the bus and not acknowledged may have been sent; its error says so.
   */
  abandon(): void {
    this.#isClosed = true
    this.#isStopping = true
    let count = 0
    for (const queue of this.#queues.values()) {
      const items = queue.items.splice(0)
      this.#grow(queue, -queue.bytes)
      this.#options.metrics.pending.dec(items.length)
      for (const item of items) this.#giveUp(item, new AbandonedError(true))
      count += items.length
    }
    for (const publisher of this.#publishers.values()) count += publisher.abandon()
    if (count > 0) this.#options.log.warn({ commands: count }, 'commands could not be published and were answered')
    this.#checkCongestion()
  }

  #giveUp(item: Outgoing, error: NetworkError): void {
    const reason = error.certain ? 'unpublished-at-stop' : 'uncertain-at-stop'
    this.#options.metrics.dropped.inc({ kind: 'stanza', reason })
    item.onFailed(error)
  }

  #wait(queue: Queue, item: Outgoing): void {
    const bytes = commandCodec.sizeOf(item.command)
    // The first may have any size that a stanza can have: waiting would not make it smaller.
    const isOverBytes = queue.items.length > 0 && queue.bytes + bytes > maxPendingBytes
    if (queue.items.length >= maxPendingItems || isOverBytes) {
      if (item.command.command?.$case === 'probePresence') {
        // A server probes every contact of a roster at once; nobody misses an answer of a session that begins.
        this.#options.metrics.dropped.inc({ kind: 'stanza', reason: 'probe-before-login' })
        return
      }
      // Who goes must be able to go, or would stay for ever.
      if (item.session !== 'optional') {
        item.onFailed(new NetworkError('rate-limited', 'Too much is waiting for your login; try again later.'))
        return
      }
    }
    if (queue.isUnanswered && this.#unansweredBytes + bytes > maxUnansweredBytes) {
      return item.onFailed(new NetworkError('unavailable', 'Nobody can be signed in at the moment; try again later.'))
    }
    queue.items.push(item)
    this.#grow(queue, bytes)
    this.#options.metrics.pending.inc()
    this.#checkCongestion()
  }

  #grow(queue: Queue, bytes: number): void {
    queue.bytes += bytes
    this.#pendingBytes += bytes
    if (queue.isUnanswered) this.#unansweredBytes += bytes
  }

  /** Whether a router answers the queue's login, as far as is known. */
  #isAnswered(queue: Queue, isAnswered: boolean): void {
    if (queue.isUnanswered !== isAnswered) return
    // Beyond the bound reading pauses after all.
    if (!isAnswered && this.#unansweredBytes + queue.bytes > maxUnansweredBytes) return
    this.#unansweredBytes += isAnswered ? -queue.bytes : queue.bytes
    queue.isUnanswered = !isAnswered
    this.#checkCongestion()
  }

  async #work(user: string, queue: Queue): Promise<void> {
    for (;;) {
      const item = queue.items[0]
      if (item === undefined) break
      let error: NetworkError | undefined
      let placement: Placement | undefined
      try {
        placement = await this.#place(user, item, queue)
        if (placement === undefined && item.session === 'required') {
          error = await this.#whyAbsent(user, item)
        }
      } catch (reason) {
        error = NetworkError.from(reason)
      }
      // Given up meanwhile, it was answered.
      if (queue.items[0] === item) this.#leave(queue, item, placement, error)
    }
    this.#queues.delete(user)
    this.#checkCongestion()
  }

  /** Why nobody takes the command of somebody who is not signed in: perhaps they never can be, as they are. */
  async #whyAbsent(user: string, { command }: Outgoing): Promise<NetworkError> {
    const signedOut = new NetworkError('signed-out', 'You are not signed in.')
    // A probe is answered alike in both cases.
    if (command.command?.$case === 'probePresence' || !this.#options.isRegistrationNeeded()) return signedOut
    try {
      const { isRegistered } = await this.#router.getRegistration({ user })
      return isRegistered ? signedOut : new NetworkError('not-registered', 'Please register with this gateway first.')
    } catch (error) {
      this.#options.log.debug({ err: error, login: user }, 'a registration could not be looked up')
      return signedOut
    }
  }

  #leave(queue: Queue, item: Outgoing, placement: Placement | undefined, error: NetworkError | undefined): void {
    queue.items.shift()
    this.#grow(queue, -commandCodec.sizeOf(item.command))
    this.#options.metrics.pending.dec()
    if (placement !== undefined) this.#publish(item, placement)
    else if (error !== undefined) {
      // Nobody could say where to: the command never left.
      if (this.#isStopping && error.code === 'unavailable')
        this.#options.metrics.dropped.inc({ kind: 'stanza', reason: 'unpublished-at-stop' })
      item.onFailed(error)
    } else this.#options.metrics.dropped.inc({ kind: 'stanza', reason: 'signed-out' })
  }

  async #place(user: string, { command, session, nickHint }: Outgoing, queue: Queue): Promise<Placement | undefined> {
    const { placements } = this.#options
    const cached = placements.cached(user)
    if (cached !== undefined) return cached
    const found = await this.#patiently(() => placements.read(user, { isLastWord: session !== 'login' }))
    this.#options.metrics.placementLookups.inc({ found: found === undefined ? 'nowhere' : 'table' })
    if (found !== undefined) return found
    if (session === 'login') return this.#login(user, nickHint ?? '', queue)
    // A presence sent to the last session may be about to start the next one there: who leaves has to leave after it.
    return isFarewell(command) ? placements.former(user) : undefined
  }

  async #login(user: string, nickHint: string, queue: Queue): Promise<Placement> {
    const { placements, metrics, log, bus } = this.#options
    try {
      const placement = await this.#patiently(
        () => this.#router.login({ user, nickHint }),
        () => {
          if (bus.isConnected) this.#isAnswered(queue, false)
        },
      )
      placements.remember(user, placement)
      metrics.logins.inc({ outcome: 'placed' })
      return placement
    } catch (reason) {
      const error = NetworkError.from(reason)
      metrics.logins.inc({ outcome: error.code })
      if (error.code === 'unexpected') log.error({ err: reason, login: user }, 'a login failed')
      throw error
    } finally {
      this.#isAnswered(queue, true)
    }
  }

  /** Tries again while nobody answers: the router or the bus is being restarted. What is asked must be idempotent. */
  async #patiently<T>(ask: () => Promise<T>, onUnanswered?: () => void): Promise<T> {
    let deadline = performance.now() + patienceMs
    for (;;) {
      try {
        return await ask()
      } catch (reason) {
        const { code } = NetworkError.from(reason)
        // Users come one after the other (service.login_delay), and this one keeps its place in the line.
        const isInLine = code === 'rate-limited'
        const mayPass = isInLine || (code === 'unavailable' && performance.now() + retryMs <= deadline)
        if (!mayPass || this.#isStopping) throw reason
        onUnanswered?.()
        if (isInLine) deadline = performance.now() + patienceMs
      }
      await new Promise(resolve => setTimeout(resolve, retryMs))
    }
  }

  #publish(item: Outgoing, placement: Placement): void {
    const publisher = this.#publisherOf(placement.backend)
    item.command.generation = placement.generation
    try {
      publisher.publish(item.command, error => {
        if (error instanceof AbandonedError) this.#giveUp(item, error)
        else item.onFailed(error)
      })
      this.#options.placements.sent(item.command.user, item.command.key)
      this.#options.metrics.commands.inc({ command: item.command.command?.$case ?? 'none' })
    } catch (reason) {
      if (!(reason instanceof LaneFullError))
        this.#options.log.warn({ err: reason }, 'a command could not be published')
      item.onFailed(NetworkError.from(reason))
    }
    this.#checkCongestion()
  }

  #publisherOf(backend: number): LanePublisher<Command> {
    let publisher = this.#publishers.get(backend)
    if (publisher === undefined) {
      const { bus, instance } = this.#options
      publisher = bus.publisher(commandLane(instance, backend), commandCodec)
      this.#publishers.set(backend, publisher)
    }
    return publisher
  }

  #checkCongestion(): void {
    const bytes = this.#pendingBytes - this.#unansweredBytes + this.#options.bus.unpublishedBytes
    // Half of it must be gone before reading goes on.
    const isCongested = bytes > (this.#isCongested ? congestedBytes / 2 : congestedBytes)
    if (isCongested === this.#isCongested) return
    this.#isCongested = isCongested
    if (isCongested) this.#options.onCongested()
    else this.#options.onRelieved()
  }
}

const isFarewell = ({ command }: Command): boolean =>
  command?.$case === 'leaveRoom' || (command?.$case === 'setPresence' && command.value.show === Show.SHOW_OFFLINE)
