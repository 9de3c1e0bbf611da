import {
  type FailureCode,
  type Host,
  type JoinRequest,
  NetworkError,
  type Presence,
  type RoomId,
  type RoomLeft,
  type UserId,
} from '@spectrum/network'
import type { ChannelTables } from './channel-table.ts'
import { closingWords } from './closing.ts'
import { Connection, type ConnectionParts } from './connection.ts'
import { CtcpLimit } from './ctcp.ts'
import { finishJoin, onLine } from './events.ts'
import { History } from './history.ts'
import { isChannel, isNick, toRoomId, toUserId } from './ids.ts'
import { type Line, nickOf, serialiseLine } from './line.ts'
import type { Member } from './member.ts'
import { nickRefusals } from './numerics.ts'
import { absences, Regain } from './regain.ts'
import { Requests } from './requests.ts'
import { Room } from './room.ts'
import { factsOf } from './room-modes.ts'
import { SaidLines } from './said-lines.ts'
import type { Target } from './targets.ts'

/** What links of one process share, and what they know of their user. */
export interface LinkParts extends ConnectionParts {
  readonly tables: ChannelTables
  readonly username: string
  readonly password: string | undefined
  /** When the last private message came, before this session began. */
  readonly lastPrivateAt?: Date | undefined
}

/** How long a server may leave a JOIN unanswered. */
const JOIN_MS = 60_000
/** Of how many people it is remembered that the user spoke to them through a room. */
const MAX_PRIVATE_CHATS = 200
/** How often a nick that somebody else has is asked for, and for how long: a ghost is gone long before. */
const REGAIN_EVERY_MS = 15_000
const REGAIN_FOR_MS = 900_000
const MAX_KEY_BYTES = 100
/** Bytes of channel names in one JOIN. */
const MAX_JOIN_BYTES = 400

/** One user on one IRC server: the rooms there, and what the user does. Lines that come in are handled in events.ts. */
export class Link {
  readonly parts: LinkParts
  /** What ids of this server end with: empty, or `@` and the server. */
  readonly suffix: string
  readonly rooms = new Map<string, Room>()
  readonly requests: Requests
  readonly ctcp: CtcpLimit
  readonly said: SaidLines
  readonly history: History
  #connection: Connection | undefined
  readonly #privateChats = new Map<string, RoomId>()
  #toJoin: Room[] = []
  /** Channels whose PART is on its way. */
  readonly #parting = new Set<string>()
  #presence: Presence | undefined
  /** Asked for before the next JOIN: the nick that the user had before the connection broke. */
  #nickToRegain: string | undefined
  /** The user's own nick, while a ghost has it and it is asked for again and again. */
  #ghosted: { readonly nick: string; readonly until: number; next: number } | undefined
  /** The nick service is being asked for the nick, or was just now. */
  #regain: Regain | undefined
  #closed: Promise<void> = Promise.resolve()
  #toldAway: string | undefined

  constructor(parts: LinkParts, suffix: string) {
    this.parts = parts
    this.suffix = suffix
    this.requests = new Requests(parts.host.clock)
    this.ctcp = new CtcpLimit(parts.host.clock)
    this.said = new SaidLines(parts.host.clock)
    this.history = new History(this)
  }

  get host(): Host {
    return this.parts.host
  }

  get connection(): Connection {
    if (this.#connection === undefined) throw new NetworkError('signed-out', 'Not connected to IRC.')
    return this.#connection
  }

  get isOnline(): boolean {
    return this.#connection?.isOnline ?? false
  }

  get nick(): string {
    return this.#connection?.nick ?? this.parts.username
  }

  get ownKey(): string {
    return this.fold(this.nick)
  }

  fold(name: string): string {
    return this.#connection === undefined ? name.toLowerCase() : this.#connection.isupport.fold(name)
  }

  userOf(nick: string): UserId {
    return toUserId(nick, this.suffix)
  }

  roomNamed(name: string): Room | undefined {
    return this.rooms.get(this.fold(name))
  }

  /** A channel's id, whether or not the user is in it; `undefined` for a name that is none. */
  roomIdOf(name: string): RoomId | undefined {
    return this.roomNamed(name)?.id ?? (isChannel(name) ? toRoomId(name, this.suffix) : undefined)
  }

  /** Connects to one target and stays; settles as {@link Connection.run}. `onOnline` is called once registered. */
  async connect(
    target: Target,
    namedBy: 'operator' | 'user',
    signal: AbortSignal,
    onOnline: () => void,
  ): Promise<void> {
    const owner = {
      onOnline: () => {
        this.#start()
        onOnline()
        this.#flushJoins()
        this.history.askPrivate()
      },
      onLine: (line: Line) => {
        if (!this.#regain?.takes(line)) onLine(this, line)
      },
    }
    const connection = new Connection(this.parts, owner, target, this.parts.username, this.parts.password)
    this.#connection = connection
    const tick = (): void => this.#tick()
    this.parts.ticker.add(tick)
    const { promise, resolve } = Promise.withResolvers<void>()
    this.#closed = promise
    try {
      await connection.run(signal, namedBy)
    } finally {
      this.parts.ticker.delete(tick)
      this.requests.close(new NetworkError('unreachable', 'The connection to IRC broke.', { certain: false }))
      this.history.close()
      for (const room of this.rooms.values()) room.release()
      resolve()
    }
  }

  /** Fulfils when the connection of now, if there is one, is over. */
  get closed(): Promise<void> {
    return this.#closed
  }

  /** A break, on a server that the session itself connects to again: tells the rooms. Rooms never entered are given up. */
  disconnected(failure: NetworkError): void {
    for (const room of [...this.rooms.values()]) {
      if (!room.isKept) {
        this.drop(room, { kind: 'refused', code: failure.code, reason: failure.message })
        continue
      }
      const wasJoined = room.state === 'joined'
      room.reset()
      if (wasJoined)
        this.host.emit({ type: 'room-left', room: room.id, why: { kind: 'disconnected', reason: failure.message } })
    }
  }

  #start(): void {
    this.#toldAway = undefined
    this.#parting.clear()
    this.said.clear()
    // The server's way of comparing names is known only now.
    const rooms = [...this.rooms.values()]
    this.rooms.clear()
    for (const room of rooms) this.rooms.set(this.fold(room.name), room)
    this.#identify()
    this.#ghosted = undefined
    this.#regain = undefined
    if (this.fold(this.nick) !== this.fold(this.parts.username)) this.#watchNick(this.parts.username)
    if (this.#presence) this.setPresence(this.#presence)
    this.#toJoin = rooms
  }

  #identify(): void {
    const { password, username, config } = this.parts
    if (!password || config.sendPass || this.connection.isAuthenticated) return
    const space = config.identify.indexOf(' ')
    const text = config.identify
      .slice(space + 1)
      .replace(/\$(password|name)/g, (_, word) => (word === 'name' ? username : password))
    try {
      this.connection.outbox.urgent(serialiseLine('PRIVMSG', [this.#nickService, text]))
      this.#expectAbsence()
    } catch (error) {
      // Online all the same; nobody but the user can mend a password that IRC cannot carry.
      const { message } = NetworkError.from(error)
      this.host.emit({ type: 'notice', text: `Your password could not be sent to the nick service: ${message}` })
    }
  }

  // ---- rooms

  join(request: JoinRequest, name: string): void {
    if (!isChannel(name)) throw new NetworkError('bad-address', 'That cannot be the name of an IRC channel.')
    requireKey(request.password)
    const known = this.roomNamed(name)
    if (known && known.id !== request.room) {
      return this.#refuse(request.room, 'conflict', `On this server ${name} and ${known.name} are the same channel.`)
    }
    if (known?.isLeaving) {
      known.isReturning = true
      known.password = request.password ?? known.password
      return
    }
    if (known?.state === 'joined') return this.tell(known)
    if (request.isReturn) this.#nickToRegain = request.nick
    const room = known ?? new Room(request.room, name)
    if (request.password !== undefined) room.password = request.password
    room.past = { history: request.history, nick: request.isReturn ? request.nick : undefined }
    // The answer is on its way; or the connection is being made again, and the room is joined with it.
    if (known) return
    this.rooms.set(this.fold(name), room)
    this.#askSoon(room)
  }

  #askSoon(room: Room): void {
    if (this.isOnline && this.#toJoin.push(room) === 1) setImmediate(() => this.#flushJoins())
  }

  /** Asks for what is waiting, several channels in a line; those with keys first, as the protocol wants it. */
  #flushJoins(): void {
    const rooms = this.#toJoin.filter(room => this.rooms.get(this.fold(room.name)) === room && room.state === 'waiting')
    this.#toJoin = []
    if (!this.isOnline) return
    this.#regainNick()
    const sorted = [...rooms.filter(room => room.password), ...rooms.filter(room => !room.password)]
    const limit = this.connection.isupport.maxJoinTargets || 10
    let batch: Room[] = []
    let bytes = 0
    for (const room of sorted) {
      const size = Buffer.byteLength(room.name) + Buffer.byteLength(room.password ?? '') + 2
      if (batch.length > 0 && (batch.length >= limit || bytes + size > MAX_JOIN_BYTES)) {
        this.#ask(batch)
        batch = []
        bytes = 0
      }
      batch.push(room)
      bytes += size
    }
    if (batch.length > 0) this.#ask(batch)
  }

  /** Nobody in the rooms shall have to be told another nick than the one the user had there. */
  #regainNick(): void {
    const nick = this.#nickToRegain
    this.#nickToRegain = undefined
    if (nick === undefined || nick === this.nick || !isNick(nick)) return
    // Only because the registered nick was taken then; it is not now.
    if (this.nick === this.parts.username && /^_+$/.test(nick.slice(this.nick.length)) && nick.startsWith(this.nick))
      return
    try {
      this.connection.outbox.urgent(serialiseLine('NICK', [nick]))
    } catch {
      return this.parts.count('nick-not-regained')
    }
    const taken = (line: Line): true | NetworkError | undefined => {
      if (line.command === 'NICK' && this.fold(nickOf(line.source)) === this.ownKey) return true
      const isRefusal = nickRefusals.has(line.command) && this.fold(line.params[1] ?? '') === this.fold(nick)
      return isRefusal ? new NetworkError('conflict', `The nick ${nick} cannot be had any more.`) : undefined
    }
    // Without it the join goes on under the nick of now.
    this.requests.expect(taken).catch((error: NetworkError) => {
      this.parts.count('nick-not-regained')
      if (error.code === 'conflict') this.#watchNick(nick)
    })
  }

  /** Somebody else has the user's nick; it is taken back when it can be. */
  #watchNick(nick: string): void {
    const now = this.host.clock.monotonic()
    this.#ghosted = { nick, until: now + REGAIN_FOR_MS, next: now + REGAIN_EVERY_MS }
    // The account is that of the registered nick.
    const isOfAccount = this.fold(nick) === this.fold(this.parts.username)
    if (isOfAccount && this.connection.isAuthenticated) this.#regainFromService(nick)
  }

  /** The user took another nick of their own will: the old one is not asked for any more. */
  keepNick(): void {
    this.#ghosted = undefined
  }

  /** Who had a nick has gone, or has another: if it is the user's, it is asked for at once. */
  nickFreed(key: string): void {
    if (this.#ghosted !== undefined && this.fold(this.#ghosted.nick) === key) void this.#retakeNick()
  }

  /** Asks for the own nick: whether it was given. */
  async #retakeNick(): Promise<boolean> {
    const ghosted = this.#ghosted
    const now = this.host.clock.monotonic()
    if (ghosted === undefined) return false
    if (this.fold(ghosted.nick) === this.ownKey || now > ghosted.until) {
      this.#ghosted = undefined
      return false
    }
    ghosted.next = now + REGAIN_EVERY_MS
    const isAnswer = (line: Line): true | NetworkError | undefined => {
      if (line.command === 'NICK' && this.fold(nickOf(line.source)) === this.ownKey) return true
      const isRefusal = nickRefusals.has(line.command) && this.fold(line.params[1] ?? '') === this.fold(ghosted.nick)
      return isRefusal ? new NetworkError('conflict', 'The nick is still taken.') : undefined
    }
    try {
      this.send(serialiseLine('NICK', [ghosted.nick]))
      await this.requests.expect(isAnswer)
      return true
    } catch {
      // Tried again in time; until then everybody knows the other nick.
      this.parts.count('nick-not-regained')
      return false
    }
  }

  /** A nick service gives the nick back to whom the account belongs. */
  #regainFromService(nick: string): void {
    const { connection } = this
    const regain = new Regain({
      service: this.#nickService,
      nick,
      fold: name => this.fold(name),
      say: line => this.send(line),
      isOurs: () => this.fold(nick) === this.ownKey,
      ask: () => this.#retakeNick(),
      isOver: () => this.#ghosted === undefined || this.#connection !== connection || !connection.isOnline,
    })
    this.#regain = regain
    regain.run().catch(error => {
      this.parts.count('nick-not-regained')
      this.host.log.warn({ err: NetworkError.from(error) }, 'The nick service could not be asked for the own nick.')
    })
  }

  /** Who is told passwords. */
  get #nickService(): string {
    const { identify } = this.parts.config
    return identify.slice(0, identify.indexOf(' '))
  }

  /** Where there is no nick service, nobody asked for one: the server's answer is not the user's business. */
  #expectAbsence(): void {
    const key = this.fold(this.#nickService)
    const isAnswer = ({ command, source, params }: Line): true | NetworkError | undefined => {
      if (command === 'NOTICE' && this.fold(nickOf(source)) === key) return true
      const isAbsent = absences.has(command) && this.fold(params[1] ?? '') === key
      return isAbsent ? new NetworkError('not-found', 'There is no nick service.') : undefined
    }
    this.requests.expect(isAnswer).catch(error => {
      if (NetworkError.from(error).code === 'not-found') this.parts.count('no-nick-service')
    })
  }

  #ask(rooms: readonly Room[]): void {
    const keys = rooms.flatMap(room => (room.password ? [room.password] : []))
    const names = rooms.map(room => room.name).join(',')
    try {
      this.send(serialiseLine('JOIN', keys.length > 0 ? [names, keys.join(',')] : [names]))
    } catch (error) {
      const { code, message } = NetworkError.from(error)
      for (const room of rooms) this.drop(room, { kind: 'refused', code, reason: message })
      return
    }
    for (const room of rooms) {
      room.state = 'asked'
      room.askedAt = this.host.clock.monotonic()
      room.ticket?.cancel()
      room.ticket = this.parts.tables.expect(this.scope, this.fold(room.name))
    }
  }

  /** Names the server and its way of comparing names, for what sessions share. */
  get scope(): string {
    const { target, isupport } = this.connection
    return `${target.host}:${target.port}${this.suffix} ${isupport.casemapping}`
  }

  leave(name: string, reason?: string): void {
    const room = this.roomNamed(name)
    if (room === undefined) return
    if (room.state === 'waiting' || !this.isOnline) return this.drop(room, { kind: 'left' })
    room.isReturning = false
    // One PART at a time: the answer to a second could be taken for that of a later one.
    if (room.isLeaving) return
    room.isLeaving = true
    this.#parting.add(this.fold(room.name))
    this.send(serialiseLine('PART', reason ? [room.name, reason] : [room.name]))
  }

  /** The server has confirmed a PART, or knows nothing of the room. True when the user had asked for it. */
  parted(name: string): boolean {
    return this.#parting.delete(this.fold(name))
  }

  /** Out of a room: for good, or to go in again. */
  left(room: Room, why: RoomLeft): void {
    if (!room.isReturning) return this.drop(room, why)
    room.reset()
    room.isKept = false
    this.#askSoon(room)
  }

  /** Out of a room for good, and the host told so. */
  drop(room: Room, why: RoomLeft): void {
    this.rooms.delete(this.fold(room.name))
    room.reset()
    for (const [key, id] of this.#privateChats) if (id === room.id) this.#privateChats.delete(key)
    this.host.emit({ type: 'room-left', room: room.id, why })
  }

  #refuse(room: RoomId, code: FailureCode, reason: string): void {
    this.host.emit({ type: 'room-left', room, why: { kind: 'refused', code, reason } })
  }

  /** All that somebody who enters gets to see. */
  tell(room: Room): void {
    const own = this.ownKey
    this.host.emit({
      type: 'room-joined',
      room: room.id,
      nick: this.nick,
      ...(room.modes === undefined ? {} : { facts: factsOf(room) }),
      ...(room.enteredAt && { at: room.enteredAt }),
    })
    for (const member of room.view.members()) {
      this.host.emit({
        type: 'occupant',
        room: room.id,
        occupant: room.occupant(member, own),
        change: { kind: 'present' },
      })
    }
    this.host.emit({ type: 'room-ready', room: room.id })
    if (room.topic) {
      const { text, nick, at } = room.topic
      this.host.emit({ type: 'room-subject', room: room.id, subject: text, ...(nick && { nick }), ...(at && { at }) })
    }
  }

  /** The joined rooms in which somebody is, with their record. */
  *roomsWith(key: string): Iterable<readonly [Room, Member]> {
    for (const room of this.rooms.values()) {
      const member = room.state === 'joined' || room.state === 'syncing' ? room.view.get(key) : undefined
      if (member) yield [room, member]
    }
  }

  // ---- private chats through rooms

  rememberPrivateChat(nick: string, room: RoomId): void {
    const key = this.fold(nick)
    if (this.#privateChats.get(key) === room) return
    this.#privateChats.delete(key)
    this.#privateChats.set(key, room)
    const oldest = this.#privateChats.size > MAX_PRIVATE_CHATS ? this.#privateChats.keys().next().value : undefined
    if (oldest !== undefined) this.#privateChats.delete(oldest)
  }

  /** The room through which the user speaks with somebody, while both are in it. */
  privateRoomOf(key: string): Room | undefined {
    const id = this.#privateChats.get(key)
    if (id === undefined) return undefined
    for (const room of this.rooms.values())
      if (room.id === id && room.state === 'joined' && room.view.get(key)) return room
    return undefined
  }

  renamePrivateChat(from: string, to: string): void {
    const id = this.#privateChats.get(from)
    if (id === undefined || from === to) return
    this.#privateChats.delete(from)
    this.#privateChats.set(to, id)
  }

  // ---- lines out

  /** For commands whose outcome comes as lines; failing to write one is told by the connection's end. */
  send(line: string): void {
    // What comes in after QUIT is still told, and not answered.
    if (this.connection.isClosing) return this.parts.count('line-not-sent')
    const sent = this.connection.outbox.send(line)
    if (sent) sent.catch(() => this.parts.count('line-not-sent'))
  }

  setPresence(presence: Presence): void {
    this.#presence = presence
    if (!this.isOnline) return
    const away = awayText(presence)
    if (away === this.#toldAway) return
    this.#toldAway = away
    this.send(serialiseLine('AWAY', away === undefined ? [] : [away]))
  }

  #tick(): void {
    this.requests.tick()
    this.history.tick()
    const now = this.host.clock.monotonic()
    if (this.isOnline && this.#ghosted !== undefined && now >= this.#ghosted.next) void this.#retakeNick()
    for (const room of [...this.rooms.values()]) {
      if (room.state === 'asked' && now - room.askedAt > JOIN_MS) {
        this.drop(room, { kind: 'refused', code: 'unavailable', reason: 'The IRC server did not answer.' })
      } else if (room.state === 'syncing' && now - room.askedAt > JOIN_MS) finishJoin(this, room)
    }
  }
}

function awayText({ show, status }: Presence): string | undefined {
  if (show !== 'away' && show !== 'xa' && show !== 'dnd') return undefined
  const text = closingWords(status ?? '').trim()
  return text || (show === 'dnd' ? 'Do not disturb' : 'Away')
}

function requireKey(key: string | undefined): void {
  if (key !== undefined && (/[\0-\x20\x7f,]|^:/.test(key) || Buffer.byteLength(key) > MAX_KEY_BYTES)) {
    throw new NetworkError('not-authorized', 'That cannot be the key of an IRC channel.')
  }
}
