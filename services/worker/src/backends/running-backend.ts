import {
  type Bus,
  commandLane,
  type Delivery,
  forwardedTopic,
  type LaneConsumer,
  type LaneHandler,
  type Ownership,
  snapshotKey,
  snapshotPrefix,
  type Table,
  userOfKey,
} from '@spectrum/bus'
import { type Command, commandCodec, type Placement, type SessionSnapshot } from '@spectrum/messages'
import { NetworkError } from '@spectrum/network'
import type { Standstill } from '@spectrum/service-kit'
import { absence, failureOf } from '../sessions/answers.ts'
import type { BackendLink, SessionContext } from '../sessions/context.ts'
import type { EventLane } from '../sessions/event-lanes.ts'
import { EventWriter } from '../sessions/events.ts'
import type { ResourceChecks } from '../sessions/resource-checks.ts'
import { restore } from '../sessions/restore.ts'
import { Session, type SessionStart } from '../sessions/session.ts'
import type { WriteBehind } from '../write-behind.ts'
import { Departures } from './departures.ts'
import { FinishBarrier } from './finish-barrier.ts'
import { Strays } from './strays.ts'

/** Users whose last session's generation is remembered. */
const rememberedEnds = 1_000

/** What a backend needs beside its sessions. */
export interface BackendContext {
  readonly bus: Bus
  readonly instance: string
  readonly sessions: SessionContext
  readonly snapshots: Table<SessionSnapshot>
  /** Verifies resources after a new component stream. */
  readonly checks: ResourceChecks
  /** Copies for the database. */
  readonly copies: WriteBehind
  readonly standstill: Standstill
  placementOf(user: string): Promise<Placement | undefined>
  login(user: string, nickHint: string): Promise<Placement>
  /** The backend is lost, or drained. */
  ended(backend: RunningBackend): void
}

/** How often a backend that had to hold back looks whether it may go on. */
const holdPollMs = 50
/** What a step of handing over gets at least, however late it is. */
const leastStepMs = 250

/**
 * One backend in this process's hand: restores its sessions from their snapshots, reads its lane and gives every command to
 * the session that it belongs to. Speaks for the backend at one epoch; when that is over, so is this object.
 */
export class RunningBackend implements BackendLink, LaneHandler<Command> {
  readonly number: number
  readonly epoch: number
  readonly sessions = new Map<string, Session>()
  readonly #context: BackendContext
  readonly #ownership: Ownership
  readonly #barrier: FinishBarrier
  /** The generation of each user's session that ended last. */
  readonly #over = new Map<string, number>()
  readonly #strays: Strays
  readonly #departures: Departures
  #consumer: LaneConsumer | undefined
  #counter = 0
  #isLost = false
  #isDraining = false
  #drained: Promise<void> | undefined
  #holdTimer: NodeJS.Timeout | undefined
  /** Standstills of this process when the backend was last certain to be ours. */
  #confirmedStandstills: number
  readonly #looks: Disposable

  constructor(context: BackendContext, ownership: Ownership, number: number) {
    this.#context = context
    this.#ownership = ownership
    this.number = number
    this.epoch = ownership.epoch
    this.#confirmedStandstills = context.standstill.count()
    this.#looks = context.standstill.onLook(() => this.mayWrite())
    this.#barrier = new FinishBarrier(context.sessions.log)
    this.#departures = new Departures({
      log: context.sessions.log,
      publish: (command, backend) => this.#forward(command, backend),
      deleteSnapshot: user => this.deleteSnapshot(user),
      gone: (session, undone) => this.ended(session, undone),
      done: delivery => this.done(delivery),
      isLost: () => this.#isLost,
    })
    this.#strays = new Strays({
      backend: number,
      placementOf: context.placementOf,
      login: context.login,
      forward: (command, backend) => this.#forward(command, backend),
      passedOn: delivery => this.done(delivery),
      deliver: delivery => this.#deliver(delivery),
      closing: user => this.#departures.leaving(user) ?? this.sessions.get(user)?.closing,
      start: (user, { generation }) => this.#startSession({ user, generation, username: '', settings: {} }),
      isOver: (user, generation) => generation <= (this.#over.get(user) ?? -1),
      evict: (user, { generation, movedFrom }) => {
        const session = this.sessions.get(user)
        // It is about to be moved: the command for that is on its way.
        if (movedFrom?.backend === number && movedFrom.generation === session?.generation) return
        if (session !== undefined && session.generation < generation) session.disowned()
      },
      refuse: (delivery, error) => this.#refuse(delivery, error),
      ignore: (delivery, reason) => this.#ignore(delivery, reason),
      isLost: () => this.#isLost,
      onFailure: (error, { key, user }) =>
        context.sessions.log.error({ err: error, key, user }, 'a stray command could not be handled'),
    })
  }

  get isLost(): boolean {
    return this.#isLost
  }

  /** It reads its lane. */
  get isStarted(): boolean {
    return this.#consumer !== undefined && !this.#isLost
  }

  /** Restores the sessions, then reads the lane: what comes for a session finds it. */
  async start(): Promise<void> {
    const { bus, instance, snapshots } = this.#context
    for await (const { key, value } of snapshots.list(snapshotPrefix(instance, this.number))) {
      if (this.#isLost || this.#isDraining) return
      const user = userOfKey(key)
      const { generation, username, settings } = value
      const session = this.#createSession({ user, generation, username, settings })
      restore(session, value)
      session.start(true)
      // The last owner may have died before it copied the latest.
      this.#context.copies.changed(this, user, value)
    }
    if (this.#isLost || this.#isDraining) return
    this.#consumer = await bus.consume(commandLane(instance, this.number), commandCodec, this.#ownership, this)
  }

  // ---- the lane

  onItem(delivery: Delivery<Command>): void {
    const { item } = delivery
    const session = this.sessions.get(item.user)
    const body = item.command
    if (body?.$case === 'componentConnected' && item.user === '') return this.#componentConnected(delivery)
    const isOrdinary = body?.$case !== 'moveSession' && this.#departures.leaving(item.user) === undefined
    if (session !== undefined && session.generation === item.generation && this.#strays.size === 0 && isOrdinary)
      return session.offer(delivery)
    // Commands that came before a moved session wait for it.
    const isAwaited = body?.$case === 'startSession' && body.value.snapshot !== undefined && session === undefined
    if (isAwaited && this.#departures.leaving(item.user) === undefined && this.#deliver(delivery)) return
    if (this.#strays.has(item.user) || !this.#deliver(delivery)) this.#strays.offer(delivery)
  }

  onPoison(delivery: Delivery<Command>): void {
    const { key, user, command } = delivery.item
    this.#context.sessions.log.error({ key, user, kind: command?.$case }, 'a command ends workers and is put aside')
    this.#refuse(delivery, new NetworkError('unexpected', 'This could not be handled; the operator was told.'))
  }

  onBatchEnd(): void {
    this.#barrier.flush()
  }

  onLost(reason: string): void {
    if (this.#isLost) return
    this.#isLost = true
    this.#looks[Symbol.dispose]()
    clearTimeout(this.#holdTimer)
    const { log, metrics } = this.#context.sessions
    log.warn({ backend: this.number, epoch: this.epoch, reason }, 'a backend is run by somebody else now')
    metrics.takeovers.inc({ how: 'lost' })
    this.#suspendAll().catch(error => log.error({ err: error }, 'sessions of a lost backend did not close well'))
    this.#context.ended(this)
  }

  /** True when it was handed to a session, or needs none. */
  #deliver(delivery: Delivery<Command>): boolean {
    const { item } = delivery
    const { command, user, generation } = item
    if (this.#departures.leaving(user) !== undefined) return false
    let session = this.sessions.get(user)
    if (session?.closing !== undefined) {
      // Looked at again, with all that come meanwhile, when the session has ended.
      session.offer(delivery)
      return true
    }
    if (command?.$case === 'startSession') {
      const { username, settings, snapshot } = command.value
      // Two routers may finish the same start: the later one must not revive what has ended meanwhile.
      if (session === undefined && generation <= (this.#over.get(user) ?? -1)) {
        this.#ignore(delivery, 'session-is-over')
        return true
      }
      if (session === undefined) session = this.#startSession({ user, generation, username, settings }, snapshot)
      else if (generation > session.generation) this.#adopt(session, generation)
      session.offer(delivery)
      return true
    }
    if (command?.$case === 'moveSession') {
      const isHere = session !== undefined && session.generation <= generation
      if (session === undefined || !isHere || command.value.backend === this.number)
        this.#ignore(delivery, 'no-session')
      else this.#departures.begin(session, delivery, command.value)
      return true
    }
    const isForSession =
      session !== undefined &&
      (generation === session.generation || (command?.$case === 'stopSession' && generation >= session.generation))
    if (session === undefined || !isForSession) return false
    session.offer(delivery)
    return true
  }

  // ---- sessions

  /** A frontend has a new stream to the XMPP server, which concerns everybody. */
  #componentConnected(delivery: Delivery<Command>): void {
    for (const session of this.sessions.values()) session.doubt()
    // Finished when all have been verified: what is left of it when the backend changes hands is done by the next owner.
    this.#context.checks.request(
      this.sessions.values(),
      () => this.#isLost || this.#isDraining,
      () => this.done(delivery),
    )
  }

  /** @param snapshot - what the session goes on from, when it is not new */
  #startSession(start: SessionStart, snapshot?: SessionSnapshot): Session {
    const existing = this.sessions.get(start.user)
    if (existing !== undefined) {
      if (start.generation > existing.generation) this.#adopt(existing, start.generation)
      return existing
    }
    const session = this.#createSession(start)
    if (snapshot !== undefined) restore(session, snapshot)
    session.markChanged()
    session.start(snapshot !== undefined)
    return session
  }

  #createSession(start: SessionStart): Session {
    const session = new Session(this.#context.sessions, this, start)
    this.sessions.set(start.user, session)
    return session
  }

  /** The user was placed anew while the session lived on: it is the same session under another number. */
  #adopt(session: Session, generation: number): void {
    session.generation = generation
    session.markChanged()
  }

  ended(session: Session, waiting: readonly Delivery<Command>[]): void {
    if (this.sessions.get(session.user) === session) this.sessions.delete(session.user)
    this.#over.delete(session.user)
    this.#over.set(session.user, session.generation)
    const [oldest] = this.#over.keys()
    if (this.#over.size > rememberedEnds && oldest !== undefined) this.#over.delete(oldest)
    this.#strays.offerFirst(session.user, waiting)
  }

  async #forward(command: Command, backend: number): Promise<void> {
    const { bus, instance, sessions } = this.#context
    const publisher = bus.publisher(commandLane(instance, backend), commandCodec)
    publisher.publish(command)
    sessions.metrics.forwarded.inc({ kind: command.command?.$case ?? 'unknown' })
    await publisher.durable()
    const { generation, key, user } = command
    bus.notify(forwardedTopic(instance), Buffer.from(`${generation} ${key} ${user}`))
  }

  #refuse(delivery: Delivery<Command>, error: NetworkError): void {
    const { item } = delivery
    const { metrics } = this.#context.sessions
    metrics.countCommand(item.command?.$case ?? 'unknown', error.code)
    metrics.dropped.inc({ kind: item.command?.$case ?? 'unknown', reason: error.code })
    const answer = item.command?.$case === 'probePresence' ? absence(item.command.value) : failureOf(item, error)
    if (answer !== undefined) this.#writer(item.user).write(answer, [item.resource], item.traceparent)
    this.done(delivery)
  }

  #ignore(delivery: Delivery<Command>, reason: string): void {
    const { item } = delivery
    const { metrics } = this.#context.sessions
    metrics.dropped.inc({ kind: item.command?.$case ?? 'unknown', reason })
    this.done(delivery)
  }

  #writer(user: string): EventWriter {
    const { sessions } = this.#context
    return new EventWriter(user, sessions.laneOf(user), this, sessions.metrics)
  }

  // ---- what sessions ask

  mayAct(): boolean {
    if (this.#isLost || this.#isDraining) return false
    if (this.#ownership.mayAct() && this.#consumer?.mayAct !== false && this.#consumer?.takeTurn() !== false)
      return true
    this.#holdTimer ??= setTimeout(() => this.#lookAgain(), holdPollMs)
    return false
  }

  mayWrite(): boolean {
    // Asked first: it may be that the lease runs out between the two.
    const standstills = this.#context.standstill.count()
    if (this.#isLost || !this.#ownership.mayAct()) return false
    this.#confirmedStandstills = standstills
    return true
  }

  mayKeepAlive(): boolean {
    return this.mayWrite() || (!this.#isLost && this.#context.standstill.count() === this.#confirmedStandstills)
  }

  #lookAgain(): void {
    this.#holdTimer = undefined
    if (this.mayAct()) for (const session of [...this.sessions.values()]) session.queue.resume()
  }

  done(delivery: Delivery<Command>): void {
    this.#barrier.done(delivery)
  }

  touched(lane: EventLane): void {
    this.#barrier.touched(lane)
  }

  nextKey(): string {
    return `${this.number}.${this.epoch}.${++this.#counter}`
  }

  async saveSnapshot(user: string, snapshot: SessionSnapshot): Promise<void> {
    this.#mustOwn()
    await this.#context.snapshots.put(snapshotKey(this.#context.instance, this.number, user), snapshot)
    this.#context.copies.changed(this, user, snapshot)
  }

  async deleteSnapshot(user: string): Promise<void> {
    this.#mustOwn()
    const session = this.sessions.get(user)
    if (session !== undefined) this.#context.copies.ended(this, user, session.generation)
    await this.#context.snapshots.delete(snapshotKey(this.#context.instance, this.number, user))
  }

  #mustOwn(): void {
    if (this.#isLost || !this.#ownership.mayAct())
      throw new NetworkError('unavailable', 'The backend may be run elsewhere.')
  }

  // ---- the end

  /**
   * Hands the backend over: no new command is begun, the snapshots are brought up to date, what is finished is recorded, the
   * networks are left, what they still said is made durable, and the ownership is released. What was not begun is the new
   * owner's.
   *
   * @param limitMs - with the bus away, when it ends; to leave the networks may take 5 s more
   * @param next - the worker that should take it
   */
  drain(limitMs: number, next?: string): Promise<void> {
    this.#drained ??= this.#drain(limitMs, next)
    return this.#drained
  }

  async #drain(limitMs: number, next: string | undefined): Promise<void> {
    if (this.#isLost) return
    this.#isDraining = true
    clearTimeout(this.#holdTimer)
    const { log, metrics } = this.#context.sessions
    const failed = (error: unknown) =>
      log.warn({ err: error, backend: this.number }, 'a backend was not drained in full')
    const { clock } = this.#context.sessions
    const deadline = clock.monotonic() + limitMs
    const stepMs = () => Math.max(leastStepMs, Math.min(limitMs / 4, deadline - clock.monotonic()))
    const late = () => new Promise<void>(resolve => setTimeout(resolve, stepMs()).unref())
    const recorded = async () => {
      await Promise.race([this.#barrier.settled(), late()])
      // With the bus away there is nothing to be recorded in: the next owner reads the last lines again.
      await Promise.race([this.#consumer?.committed(), late()]).catch(failed)
    }
    this.#consumer?.pause()
    await Promise.race([
      Promise.all([...this.sessions.values()].map(session => session.snapshots.flush())),
      late(),
    ]).catch(failed)
    await recorded()
    await this.#context.copies.flush(stepMs())
    await this.#suspendAll()
    // What came in before the networks closed would be refused under the next owner's epoch.
    await recorded()
    this.#isLost = true
    this.#looks[Symbol.dispose]()
    await Promise.race([this.#ownership.release(next), late()]).catch(failed)
    metrics.takeovers.inc({ how: 'released' })
    this.#context.ended(this)
  }

  async #suspendAll(): Promise<void> {
    const sessions = [...this.sessions.values()]
    await Promise.all(sessions.map(session => session.suspend()))
    this.sessions.clear()
  }
}
