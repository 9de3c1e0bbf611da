import type { Account, Chat, ChatFeatures, Connector, RoomId, Rooms, SessionFeatures, UserId } from '@spectrum/network'
import type { ConformanceOptions } from './options.ts'
import { type Peer, sessionPeer } from './peer.ts'
import { SignedIn } from './signed-in.ts'
import { realClock, TestHost } from './test-host.ts'
import { until } from './until.ts'

/** Where a chat takes place. */
export type Place = Chat['kind']

/** What the network turned out to offer, read from a live session. */
export interface Offer {
  readonly options: ConformanceOptions
  readonly session: SessionFeatures
  /** What each kind of chat can do; a network without rooms has but one kind. */
  readonly chats: { readonly contact: ChatFeatures; readonly room?: ChatFeatures; readonly occupant?: ChatFeatures }
  readonly peerHasSession: boolean
}

/** One behaviour that is tested where the network offers it. */
export interface Case {
  readonly name: string
  /** The members of the interface that it tests, as `SessionFeatures.presence.send`; what a chat can do: in `place`. */
  readonly covers?: readonly string[]
  /** Default `contact`. */
  readonly place?: Place
  readonly needs?: (offer: Offer) => boolean
  readonly run: (stage: Stage) => Promise<void>
}

/** Where the cases play: the connector, the tested session and the peer, kept between cases and replaced when gone. */
export class Stage {
  readonly options: ConformanceOptions
  readonly connector: Connector
  /** Every host there was, so that their logs can be looked through at the end. */
  readonly hosts: TestHost[] = []
  #me: SignedIn | undefined
  #peer: Peer | undefined
  #rooms = 0
  #keys = 0

  constructor(options: ConformanceOptions) {
    this.options = options
    this.connector = this.connectorFor(options.config)
  }

  connectorFor(config: Readonly<Record<string, unknown>>): Connector {
    const { network } = this.options
    return network.create(network.config.parse(config), { log: this.newHost().log, clock: realClock })
  }

  newHost(): TestHost {
    const host = new TestHost(this.options.connect ? { connect: this.options.connect } : {})
    this.hosts.push(host)
    return host
  }

  /** Starts signing in, without waiting. */
  start(account: Account, connector = this.connector, login?: string): SignedIn {
    return new SignedIn(connector, account, this.newHost(), login)
  }

  /** The tested session, online. */
  async me(): Promise<SignedIn> {
    if (this.#me === undefined) this.#me = await this.start(this.options.account).online()
    return this.#me
  }

  /** The tested session is over; the next {@link me} signs in again. */
  async signOut(): Promise<void> {
    const me = this.#me
    this.#me = undefined
    await me?.stop()
  }

  /** Somebody ended the tested session by other means. */
  forgetMe(): void {
    this.#me = undefined
  }

  async peer(): Promise<Peer> {
    if (this.#peer !== undefined) return this.#peer
    if (this.options.peer !== undefined) this.#peer = await this.options.peer()
    else {
      const { peerAccount } = this.options
      if (peerAccount === undefined) throw new Error('conformance needs `peer` or `peerAccount`')
      this.#peer = sessionPeer(this.connector, await this.start(peerAccount).online())
    }
    return this.#peer
  }

  async close(): Promise<void> {
    await this.signOut()
    await this.#peer?.close()
    this.#peer = undefined
    await this.connector.stop?.()
  }

  /** The name of a room that nobody is in. */
  newRoom(): string {
    if (this.options.room === undefined) throw new Error('no rooms to test in')
    return this.options.room(++this.#rooms)
  }

  key(): string {
    return `key-${++this.#keys}`
  }

  async rooms(): Promise<Rooms> {
    const { rooms } = (await this.me()).session.features
    if (rooms === undefined) throw new Error('the session has no rooms')
    return rooms
  }

  /** The peer's rooms, where it has a session of its own. */
  async peerRooms(): Promise<Rooms> {
    const { rooms } = (await this.peerLogin()).session.features
    if (rooms === undefined) throw new Error('the peer has no rooms')
    return rooms
  }

  /** The id of the tested session's own user. */
  async myUser(): Promise<UserId> {
    return this.connector.parseUser((await this.me()).account.username)
  }

  /** The tested session enters a room and sees it complete. */
  async enter(name: string): Promise<RoomId> {
    const { host, account } = await this.me()
    const room = this.connector.parseRoom(name)
    await (await this.rooms()).join({ room, nick: account.username })
    await host.event('room-joined', event => event.room === room)
    await host.event('room-ready', event => event.room === room)
    return room
  }

  async leave(room: RoomId): Promise<void> {
    const { host } = await this.me()
    await (await this.rooms()).leave(room)
    await host.event('room-left', event => event.room === room)
  }

  /** A chat with the peer, in a room that both are in where the network needs that. */
  async peerChat(): Promise<Chat & { kind: 'contact' }> {
    const peer = await this.peer()
    if (this.options.needsSharedRoom === true) {
      const name = this.newRoom()
      await peer.join(name)
      await this.enter(name)
    }
    return { kind: 'contact', user: this.peerUser(peer) }
  }

  /** A new room that both are in. */
  async roomWithPeer(): Promise<{ readonly name: string; readonly room: RoomId }> {
    const name = this.newRoom()
    const room = await this.enter(name)
    await (await this.peer()).join(name)
    const { host } = await this.me()
    const { nick } = await this.peer()
    await host.event('occupant', event => event.room === room && event.occupant.nick === nick)
    return { name, room }
  }

  async leaveWithPeer({ name, room }: { readonly name: string; readonly room: RoomId }): Promise<void> {
    await (await this.peer()).leave(name)
    await this.leave(room)
  }

  /** The peer's own session, for cases that need one. */
  async peerLogin(): Promise<SignedIn> {
    const { login } = await this.peer()
    if (login === undefined) throw new Error('the peer has no session of its own')
    return login
  }

  /** The tested session and the peer in a chat of that kind, with the way back. */
  async meet(place: Place): Promise<{ readonly chat: Chat; readonly peerSays: (text: string) => Promise<void> }> {
    const [peer, { account }] = [await this.peer(), await this.me()]
    if (place === 'contact') return { chat: await this.peerChat(), peerSays: text => peer.tell(account.username, text) }
    const { name, room } = await this.roomWithPeer()
    if (place === 'room') return { chat: { kind: 'room', room }, peerSays: text => peer.sayIn(name, text) }
    const { session } = await this.peerLogin()
    return {
      chat: { kind: 'occupant', room, nick: peer.nick },
      peerSays: async text => {
        await session.send({ key: this.key(), chat: { kind: 'occupant', room, nick: account.username }, text })
      },
    }
  }

  peerUser(peer: Peer): UserId {
    return this.connector.parseUser(peer.name)
  }

  /** Sends as the tested session. */
  async send(chat: Chat, text: string, key = this.key()) {
    return (await this.me()).session.send({ key, chat, text })
  }

  /** Waits until the peer has heard a line, there (a room's name) or in private. */
  async peerHears(text: string, room?: string): Promise<void> {
    const peer = await this.peer()
    await until(
      () => peer.heard().some(line => line.text === text && line.room === room),
      () => `the peer to hear ${JSON.stringify(text)}; it heard ${JSON.stringify(peer.heard().slice(-20))}`,
    )
  }
}
