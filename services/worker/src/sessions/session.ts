import { setTimeout as delay } from 'node:timers/promises'
import type { Delivery } from '@spectrum/bus'
import { type Command, type Credentials, SessionSnapshot, Show, StopSession_Reason } from '@spectrum/messages'
import { type Account, failures, type Logger, NetworkError, type NetworkEvent } from '@spectrum/network'
import { startSpan } from '@spectrum/service-kit'
import { RouterAwayError } from '../accounts.ts'
import { failureOf } from './answers.ts'
import { Connection } from './connection.ts'
import { Contacts, withdrawContacts } from './contacts.ts'
import type { BackendLink, SessionContext } from './context.ts'
import { bareJid, type EventBody, EventWriter } from './events.ts'
import { failureNotices } from './failure-notices.ts'
import { actsOnce, handlers } from './handlers.ts'
import { receive } from './inbound.ts'
import { LastLines } from './last-lines.ts'
import { tellFromGateway } from './messages.ts'
import { MissedLines } from './missed-lines.ts'
import { codes, unavailable } from './occupants.ts'
import { Resources, type Shown } from './presence.ts'
import { CommandQueue } from './queue.ts'
import { Readiness } from './readiness.ts'
import { Receipts } from './receipts.ts'
import { RecentKeys } from './recent-keys.ts'
import { type Room, RoomTable } from './room.ts'
import { awaitAnswer, refuseJoins, requestJoin } from './rooms.ts'
import { SentMessages } from './sent-messages.ts'
import { Snapshots, snapshotOf } from './snapshots.ts'
import { absent, present, staysConnected } from './stay-connected.ts'
import { tellViews } from './views.ts'

export interface SessionStart {
  readonly user: string
  readonly generation: number
  readonly username: string
  readonly settings: Readonly<Record<string, string>>
}

/** So many failed attempts in a row, and joins that wait are answered with the network's words. */
const patience = 3

/** What handing over a session may take for its last lines to be recorded. */
const settleMs = 1_000

/** How old the last activity in a stored snapshot may become. */
const activityToldEveryMs = 5 * 60_000

/** Commands that come from a person's doing, not from a client's or the gateway's own routine. */
const showsActivity: ReadonlySet<string> = new Set(['sendMessage', 'setPresence', 'joinRoom', 'setSubject'])

/**
 * One live login: holds the parts that make it up and the few steps of its life that concern all of them. What commands and
 * network events do is in the files beside this one, by topic.
 */
export class Session {
  readonly user: string
  readonly context: SessionContext
  readonly link: BackendLink
  readonly log: Logger
  readonly events: EventWriter
  readonly resources = new Resources()
  readonly rooms: RoomTable
  readonly contacts = new Contacts()
  readonly receipts = new Receipts()
  readonly sent = new SentMessages()
  readonly missed = new MissedLines()
  readonly lastLines = new LastLines(this)
  readonly connection: Connection
  readonly queue: CommandQueue
  readonly snapshots: Snapshots
  generation: number
  username: string
  settings: Readonly<Record<string, string>>
  /** When the user last did anything here, or the session began; milliseconds since the epoch. */
  lastActiveMs: number
  #toldActiveMs: number
  readonly #recent = new RecentKeys()
  readonly #readiness = new Readiness()
  #traceparent = ''
  #handled = 0
  /** Clients believe that the network is connected: a short loss is not worth telling. */
  #isTrusted = false
  #toldNetwork = ''
  #ending: Promise<void> | undefined
  #doubtedUntil = 0
  /** Another process goes on with the session: what is not done here is left to it, unanswered. */
  #isSuspended = false

  constructor(context: SessionContext, link: BackendLink, start: SessionStart) {
    this.user = start.user
    this.generation = start.generation
    this.username = start.username
    this.settings = start.settings
    this.lastActiveMs = context.clock.now()
    this.#toldActiveMs = this.lastActiveMs
    this.context = context
    this.link = link
    const { log, metrics, limits } = context
    this.log = withFields(log, { user: start.user })
    this.events = new EventWriter(start.user, context.laneOf(start.user), link, metrics)
    this.rooms = new RoomTable(name => context.connector.parseRoom(name))
    this.connection = new Connection(this)
    this.snapshots = new Snapshots({
      intervalMs: limits.snapshotMs,
      log: this.log,
      read: isLean => snapshotOf(this, isLean),
      sizeOf: snapshot => SessionSnapshot.encode(snapshot).finish().length,
      write: snapshot => link.saveSnapshot(this.user, snapshot),
      onResult: result => metrics.snapshots.inc({ result }),
    })
    this.queue = new CommandQueue({
      maxItems: limits.queueItems,
      maxBytes: limits.queueBytes,
      mayRun: () => this.#ending === undefined && link.mayAct(),
      handle: command => this.#handle(command),
      refuse: (command, error) => this.#refuse(command, error),
      changes: () => this.snapshots.changes,
      afterSnapshot: done => this.snapshots.afterStored(done),
      finish: delivery => link.done(delivery),
    })
  }

  /** Begins to connect. `isKnown`: clients saw this session online before, in another worker. */
  start(isKnown: boolean): void {
    this.#isTrusted = isKnown
    this.connection.start()
    const unused = setTimeout(() => this.endIfDesertedSoon(), this.context.limits.unusedMs)
    unused.unref()
  }

  offer(delivery: Delivery<Command>): void {
    this.queue.offer(delivery)
  }

  /** Tells XMPP something; while a command is handled, in its trace. */
  tell(event: EventBody, resources: readonly string[], traceparent = this.#traceparent, key?: string): void {
    if (resources !== bareJid && resources.length === 0) return
    this.events.write(event, resources, traceparent, key)
  }

  nextKey(): string {
    return this.events.nextKey()
  }

  /** From the network. Never throws: a handler that fails costs this event and nothing else. */
  receive(event: NetworkEvent): void {
    try {
      receive(this, event)
    } catch (error) {
      this.suppressed(event.type, 'handler-failed')
      this.log.error({ err: error, event: event.type }, 'an event could not be handled')
    }
  }

  suppressed(kind: string, reason: string, count = 1): void {
    if (count > 0) this.context.metrics.dropped.inc({ kind, reason }, count)
  }

  /** Something changed that a new owner must know. */
  markChanged(): void {
    this.snapshots.markChanged()
  }

  /** Runs what nobody waits for; its failure is counted and logged. */
  attempt(what: string, action: () => Promise<void> | void | undefined): void {
    const failed = (error: unknown) => {
      this.suppressed(what, NetworkError.from(error).code)
      this.log.debug({ err: error, what }, 'a request to the network failed')
    }
    try {
      action()?.catch(failed)
    } catch (error) {
      failed(error)
    }
  }

  /** Fulfils when the network is online, and the room complete; rejects after the time in which commands are answered. */
  whenReady(room?: Room): Promise<void> {
    const isReady = () =>
      this.connection.isOnline && (room === undefined || room.state === 'joined' || this.rooms.get(room.id) !== room)
    const late = () =>
      new NetworkError('unreachable', this.connection.lastFailure?.message ?? 'The network does not answer.')
    return this.#readiness.wait(isReady, this.context.limits.answerMs, late).then(() => {
      if (room !== undefined && this.rooms.get(room.id) !== room)
        throw new NetworkError('not-joined', 'You are not in that room any more.')
    })
  }

  /** Commands that wait may find what they wait for. */
  ready(): void {
    this.#readiness.check()
  }

  // ---- presence

  /** There is a new stream to the XMPP server, which may have lost every client. */
  doubt(): void {
    this.doubtJoins()
    this.resources.doubt()
  }

  /** Frontends may be returning lines of rooms for a while. */
  doubtJoins(): void {
    const { clock, limits } = this.context
    this.#doubtedUntil = clock.monotonic() + limits.doubtMs
  }

  /** Clients that join now may have lost lines on their way. */
  get isInDoubt(): boolean {
    return this.context.clock.monotonic() < this.#doubtedUntil
  }

  /** A resource came, went or changed: who has not been told how the gateway is now is told, and so is the network. */
  presenceChanged(): void {
    const shown = this.#shown()
    const names = this.resources.toTell(shown)
    if (names.length > 0) this.tell({ $case: 'gatewayPresence', value: shown }, names)
    this.#tellNetwork()
  }

  /** Tells these resources how the gateway is, whatever they were told before. */
  tellGateway(resources: readonly string[]): void {
    this.tell({ $case: 'gatewayPresence', value: this.#shown() }, resources)
  }

  #shown(): Shown {
    if (this.connection.isOnline || this.#isTrusted) return this.resources.aggregateShown()
    return { show: Show.SHOW_OFFLINE, status: 'Connecting' }
  }

  #tellNetwork(): void {
    const withoutPresence = () => (staysConnected(this) ? (this.#isDeserted ? absent : present) : undefined)
    const presence = this.resources.aggregate() ?? withoutPresence()
    const feature = this.connection.isOnline ? this.connection.network?.features.presence : undefined
    if (presence === undefined || feature === undefined) return
    const told = `${presence.show} ${presence.status ?? ''}`
    if (told === this.#toldNetwork) return
    this.#toldNetwork = told
    this.attempt('presence', () => feature.send(presence))
  }

  // ---- the network connection

  connectionOnline(): void {
    this.#isTrusted = true
    this.#toldNetwork = ''
    this.log.info({ failures: this.connection.failures }, 'online')
    this.presenceChanged()
    this.lastLines.connected()
    for (const room of [...this.rooms]) requestJoin(this, room)
    this.ready()
  }

  /** The connection ended. Rooms stay as they are told: they are joined again. */
  connectionFailed(failure: NetworkError): void {
    const facts = { code: failure.code, reason: failure.message, failures: this.connection.failures }
    if (failure instanceof RouterAwayError) this.log.info(facts, 'the router does not answer yet; trying again')
    else if (failureNotices(this.context.clock).take()) this.log.warn(facts, 'the network connection ended')
    else this.log.info(facts, 'the network connection ended')
    for (const room of this.rooms) {
      room.state = 'waiting'
      for (const { type } of room.held.splice(0)) this.suppressed(type, 'connection-lost')
    }
    // The first failure may be over in a second; from the second on clients shall know.
    if (this.connection.failures > 1 || !this.#isTrusted) {
      this.#isTrusted = false
      this.presenceChanged()
    }
    // That our own services are away says nothing of the network; a join has its deadline in any case.
    if (this.connection.failures < patience || failure.code === 'unavailable') return
    for (const room of [...this.rooms])
      if (room.pending.length > 0) refuseJoins(this, room, new NetworkError('unreachable', failure.message))
  }

  /** It makes no sense to try again: the user is told why, and the session ends. */
  connectionStopped(failure: NetworkError): void {
    for (const room of [...this.rooms]) if (room.pending.length > 0) refuseJoins(this, room, failure)
    tellFromGateway(this, failure.message)
    this.#endSoon(failure.message)
  }

  /** The user is placed elsewhere, or not at all: nothing here is theirs any more, and they are not to be told. */
  disowned(): void {
    for (const room of [...this.rooms]) {
      this.suppressed('joinRoom', 'not-placed-here', room.pending.length)
      this.rooms.delete(room)
    }
    this.log.warn({ generation: this.generation }, 'a session is not placed here any more')
    this.#ending ??= this.#close()
    this.#ending.catch((error: unknown) => this.log.error({ err: error }, 'a session did not end well'))
  }

  rejoin(room: Room): void {
    if (room.pending.length > 0) awaitAnswer(this, room)
    requestJoin(this, room)
  }

  /** What the router stored of the login. */
  learn({ username, settings }: Credentials): void {
    this.username = username
    this.settings = settings
  }

  async saveAccount(change: Partial<Pick<Account, 'password' | 'extra'>>): Promise<void> {
    const account = await this.context.accounts.fetch(this)
    if (change.password !== undefined) Object.assign(account, { password: change.password, hasPassword: true })
    if (change.extra !== undefined) account.extraJson = JSON.stringify(change.extra)
    await this.context.accounts.save(this, account)
  }

  // ---- the end

  stop(reason: StopSession_Reason, text: string): void | Promise<void> {
    if (reason === StopSession_Reason.REASON_CREDENTIALS_CHANGED) return this.connection.restart()
    if (text !== '') tellFromGateway(this, text)
    return this.#end(text)
  }

  /** While the session ends: fulfils when nothing of it is left, however it went. Undefined before. */
  get closing(): Promise<void> | undefined {
    const over = () => undefined
    // Whoever began the end logs its failure.
    return this.#ending?.then(over, over)
  }

  /** Nobody uses the session any more: it ends, unless the user wants to stay connected. */
  endIfDeserted(): void | Promise<void> {
    return this.#isDeserted && !staysConnected(this) ? this.#end('') : undefined
  }

  /** No client is signed in, nor in a room or waiting for one. */
  get #isDeserted(): boolean {
    return this.resources.size === 0 && [...this.rooms].every(room => room.isEmpty)
  }

  /** It has ended, or goes on elsewhere. */
  get isOver(): boolean {
    return this.#isSuspended || this.#ending !== undefined
  }

  endIfDesertedSoon(): void {
    const ended = this.endIfDeserted()
    ended?.catch((error: unknown) => this.log.error({ err: error }, 'a session did not end well'))
  }

  #endSoon(reason: string): void {
    this.#end(reason).catch((error: unknown) => this.log.error({ err: error }, 'a session did not end well'))
  }

  #end(reason: string): Promise<void> {
    this.#ending ??= this.#endOnce(reason)
    return this.#ending
  }

  async #endOnce(reason: string): Promise<void> {
    for (const room of [...this.rooms]) {
      tellViews(this, room, node =>
        unavailable(room, node, room.shownNick, { codes: [codes.self, codes.shutdown], reason }),
      )
      this.rooms.delete(room)
    }
    this.suppressed('message', 'signed-out', this.missed.clear())
    withdrawContacts(this)
    this.tell({ $case: 'gatewayPresence', value: { show: Show.SHOW_OFFLINE, status: reason } }, bareJid)
    await this.#close()
    this.log.info({}, 'signed out')
  }

  /** Leaves the network, and nothing of the session stays behind. */
  async #close(): Promise<void> {
    try {
      this.#readiness.fail(new NetworkError('signed-out', 'You are signed out.'))
      await this.#halt()
      await persist(() => this.link.deleteSnapshot(this.user), this)
      await persist(() => this.context.accounts.release(this), this)
    } finally {
      // Whatever went wrong: the user's next session must not wait for this one for ever.
      this.link.ended(this, this.queue.close())
    }
  }

  /** Closes the network's session and stops writing, telling nobody: the session goes on elsewhere. */
  async suspend(): Promise<void> {
    this.#isSuspended = true
    await this.connection.stop()
    // With the bus away, or the backend lost, the next owner asks for a few lines again.
    if (!this.link.isLost)
      await atMost(
        settleMs,
        this.lastLines.settle().then(() => this.snapshots.flush()),
      )
    await this.#halt()
  }

  async #halt(): Promise<void> {
    for (const room of this.rooms) room.stopTimers()
    await this.connection.stop()
    this.lastLines.close()
    await this.snapshots.close()
  }

  // ---- commands

  #handle(command: Command): void | Promise<void> {
    const body = command.command
    if (body === undefined) return this.suppressed('command', 'unknown')
    const kind = body.$case
    if (actsOnce.has(kind) && !this.#recent.add(command.key)) {
      this.context.metrics.redelivered.inc({ kind, reason: 'duplicate' })
      return this.suppressed(kind, 'duplicate')
    }
    if (showsActivity.has(kind)) this.#wasActive()
    const span = command.traceparent === '' ? undefined : startSpan(`worker ${kind}`, command.traceparent)
    const isTimed = (this.#handled++ & 63) === 0
    const startedMs = isTimed ? performance.now() : 0
    this.#traceparent = span?.traceparent ?? ''
    let outcome: void | Promise<void>
    try {
      outcome = handlers[kind](this, command, body.value as never)
    } catch (error) {
      this.#failed(command, kind, error)
      span?.end(error)
      return undefined
    } finally {
      this.#traceparent = ''
    }
    if (outcome === undefined) {
      if (isTimed) this.context.metrics.handling.observe({ kind }, (performance.now() - startedMs) / 1000)
      this.context.metrics.countCommand(kind, 'done')
      span?.end()
      return undefined
    }
    const slowSince = isTimed ? startedMs : performance.now()
    return outcome.then(
      () => {
        this.context.metrics.countCommand(kind, 'done')
        this.context.metrics.handling.observe({ kind }, (performance.now() - slowSince) / 1000)
        span?.end()
      },
      error => {
        span?.end(error)
        // Never settled, so never finished: the next owner of the backend gets it again.
        if (this.#isSuspended) return new Promise<void>(() => undefined)
        this.#failed(command, kind, error)
        return undefined
      },
    )
  }

  /** Who was active last is let in first after a crash, so the stored snapshot must know it, to some minutes. */
  #wasActive(): void {
    this.lastActiveMs = this.context.clock.now()
    if (this.lastActiveMs - this.#toldActiveMs < activityToldEveryMs) return
    this.#toldActiveMs = this.lastActiveMs
    this.snapshots.markOutdated()
  }

  #failed(command: Command, kind: string, reason: unknown): void {
    const error = NetworkError.from(reason)
    if (error.code === 'unexpected')
      this.log.error({ err: error.cause, key: command.key, kind }, 'a command failed unexpectedly')
    this.#refuse(command, error)
  }

  #refuse(command: Command, error: NetworkError): void {
    const kind = command.command?.$case ?? 'unknown'
    this.context.metrics.countCommand(kind, error.code)
    this.context.metrics.dropped.inc({ kind, reason: error.code })
    const answer = failureOf(command, error)
    if (answer !== undefined) this.tell(answer, [command.resource], command.traceparent)
  }
}

/** Waits for what never rejects, but not for ever. */
async function atMost(ms: number, done: Promise<void>): Promise<void> {
  const late = new AbortController()
  await Promise.race([done, delay(ms, undefined, { signal: late.signal }).catch(() => undefined)])
  late.abort()
}

/** Tries for as long as the session's backend is ours: what the router or the bus must know must not be lost. */
async function persist(action: () => Promise<void>, session: Session): Promise<void> {
  for (let waitMs = 500; ; waitMs = Math.min(waitMs * 2, 15_000)) {
    try {
      return await action()
    } catch (error) {
      if (session.link.isLost) return
      if (failures[NetworkError.from(error).code].recovery !== 'retry') {
        session.log.error({ err: error }, 'the end of a session could not be recorded')
        return
      }
      session.log.warn({ err: error }, 'the end of a session could not be recorded and is tried again')
    }
    await new Promise(resolve => setTimeout(resolve, waitMs))
  }
}

function withFields(log: Logger, fields: object): Logger {
  return {
    debug: (more, message) => log.debug({ ...fields, ...more }, message),
    info: (more, message) => log.info({ ...fields, ...more }, message),
    warn: (more, message) => log.warn({ ...fields, ...more }, message),
    error: (more, message) => log.error({ ...fields, ...more }, message),
  }
}
