import type {
  Chat,
  Clock,
  MessageId,
  NetworkError,
  Presence,
  ReceivedMessage,
  RoomId,
  UserId,
  VCard,
} from '@spectrum/network'
import type { Config } from './config.ts'
import { messageId, parseRoom, polly, sleepy } from './ids.ts'
import type { Inhabitant } from './inhabitant.ts'
import { Room } from './room.ts'

/** A message that was said, kept so that edits, retractions and reactions find it. */
export interface Said {
  readonly id: MessageId
  readonly author: UserId
  readonly chat: Chat
  readonly text: string
  readonly at: Date
  /** What the author was called in the room. */
  readonly nick?: string
  /** Whatever else the author's client gave along. */
  readonly more?: Pick<ReceivedMessage, 'action' | 'replyTo' | 'xhtml'>
}

const remembered = 1000

/** All that the sessions of one worker process share: who is here, the rooms, the last messages. */
export class World {
  readonly config: Config
  readonly clock: Clock
  /** What people published of themselves. */
  readonly vcards = new Map<UserId, VCard>()
  /** So many lines are not repeated from now on. */
  swallow = 0
  readonly #inhabitants = new Set<Inhabitant>()
  readonly #rooms = new Map<RoomId, Room>()
  readonly #said = new Map<MessageId, Said>()
  readonly #ids = new Map<string, MessageId>()
  readonly #idPrefix: string
  #count = 0

  constructor(config: Config, clock: Clock) {
    this.config = config
    this.clock = clock
    this.#idPrefix = clock.now().toString(36)
    this.room(parseRoom('flock'))
  }

  /** A new inhabitant moves in. One who was here by the same login is told to go, so that nobody is here twice. */
  enter(inhabitant: Inhabitant, replaced: NetworkError): void {
    for (const other of this.#inhabitants) if (other.login === inhabitant.login) other.drop(replaced)
    this.#inhabitants.add(inhabitant)
  }

  leave(inhabitant: Inhabitant): void {
    this.#inhabitants.delete(inhabitant)
  }

  /** Everybody who is signed in by that name, on however many devices. */
  *inhabitantsCalled(user: UserId): Iterable<Inhabitant> {
    for (const inhabitant of this.#inhabitants) if (inhabitant.user === user) yield inhabitant
  }

  /** The names of all who are signed in. */
  everybody(): Set<UserId> {
    return new Set(Array.from(this.#inhabitants, ({ user }) => user))
  }

  /** Tells whoever has agreed contact with `user` how that person is now. */
  announce(user: UserId): void {
    for (const watcher of this.#inhabitants) {
      const entry = watcher.contacts.get(user)
      if (entry !== undefined && entry.subscription !== 'pending')
        watcher.emit({ type: 'contact', contact: { user, presence: this.presenceOf(user) } })
    }
  }

  presenceOf(user: UserId): Presence {
    if (user === polly) return { show: 'online', status: 'Pretty Polly' }
    if (user === sleepy) return { show: 'away', status: 'zzz' }
    for (const { presence } of this.inhabitantsCalled(user)) return presence.show === 'invisible' ? offline : presence
    return offline
  }

  /** The room of that name, made on the spot when nobody was ever in it. */
  room(id: RoomId): Room {
    const existing = this.#rooms.get(id)
    if (existing !== undefined) return existing
    const room = new Room(id)
    this.#rooms.set(id, room)
    return room
  }

  /** Forgets a room, unless it is the one that is always there. */
  forget(room: Room): void {
    if (room.id !== 'flock') this.#rooms.delete(room.id)
  }

  roomsOf(inhabitant: Inhabitant): Room[] {
    return [...this.#rooms.values()].filter(room => room.memberOf(inhabitant) !== undefined)
  }

  publicRooms(): Room[] {
    return [...this.#rooms.values()].filter(({ facts }) => facts.isHidden !== true)
  }

  /** Remembers what was said and gives it an id, unique over restarts of the process too. */
  remember(said: Omit<Said, 'id' | 'at'>, login?: string, key?: string): Said {
    const id = messageId(`${this.#idPrefix}-${(++this.#count).toString(36)}`)
    const entry: Said = { ...said, id, at: new Date(this.clock.now()) }
    this.#said.set(id, entry)
    if (key !== undefined) this.#ids.set(`${login} ${key}`, id)
    dropOldest(this.#said)
    dropOldest(this.#ids)
    return entry
  }

  recall(id: MessageId): Said | undefined {
    return this.#said.get(id)
  }

  /** What this login said under that key, so that a message handed over twice is said once. */
  saidUnder(login: string, key: string): Said | undefined {
    const id = this.#ids.get(`${login} ${key}`)
    return id === undefined ? undefined : this.#said.get(id)
  }

  /** Whether the parrots repeat a line that they hear now. */
  isRepeated(): boolean {
    if (!this.config.echo) return false
    if (this.swallow === 0) return true
    this.swallow--
    return false
  }

  /** Everything remembered, oldest first. */
  said(): Iterable<Said> {
    return this.#said.values()
  }

  stop(): void {
    this.#rooms.clear()
    this.#said.clear()
  }
}

const offline: Presence = { show: 'offline' }

function dropOldest<Key>(map: Map<Key, unknown>): void {
  if (map.size <= remembered) return
  for (const oldest of map.keys()) {
    map.delete(oldest)
    return
  }
}
