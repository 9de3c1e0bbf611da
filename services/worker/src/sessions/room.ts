import type { Address, Sealed } from '@spectrum/messages'
import type { NetworkEvent, RoomId } from '@spectrum/network'
import type { LastLine } from './last-lines.ts'

/** Resources that are in the room under the same spelling of its JID. */
export interface View {
  readonly node: string
  /** Replaced, never changed: events that name it may not have left yet. */
  resources: readonly string[]
}

/** What is known of a client that lost lines of a room. */
export interface Loss {
  /** Ends the wait for it, or, once it is back, for the frontend that may still return lines. */
  readonly timer: NodeJS.Timeout
  readonly isBack: boolean
  /** It has come in anew, and is told the subject behind the lines (XEP-0045 section 7.2). */
  readonly hasEntered: boolean
}

/** A join that has not been answered. */
export interface PendingJoin {
  readonly resource: string
  readonly node: string
  readonly nick: string
  readonly stanzaId: string
  /** What the client gave; it is the room's only once it has let the user in. */
  readonly password?: Sealed | undefined
  /** How many lines of the past the client wants; undefined: as many as usual. */
  readonly maxHistory?: number | undefined
}

/**
 * - `waiting`: the network is not connected, or was not asked yet
 * - `asked`: the network was asked to let the user in
 * - `filling`: the user is in, occupants still come
 * - `joined`: everything is known
 */
export type RoomState = 'waiting' | 'asked' | 'filling' | 'joined'

/** A room of one session: which resources are in it, and what they have been told. */
export class Room {
  readonly id: RoomId
  /** As in the JID, unescaped. */
  readonly name: string
  /** The user's own; before the network has told, the one asked for. */
  nick: string
  /** The one that let the user in. */
  password: Sealed | undefined
  /** The one that the network was asked with last. */
  asked: Sealed | undefined
  state: RoomState = 'waiting'
  views: View[] = []
  pending: PendingJoin[] = []
  /** What the views know: nick → rank and state of every occupant but the user's own. */
  told = new Map<string, string>()
  /** The user's own nick as the views know it; undefined when they know none. */
  toldNick: string | undefined
  toldSubject: string | undefined
  /** The network tells what was missed while the user was away. */
  fillsGaps = false
  /** The last line that was told, and the last of those that are durable; undefined before any, and where nobody needs it. */
  lastLine: LastLine | undefined
  durableLine: LastLine | undefined
  /** How the user's own occupant was told to look; undefined when that is not known. */
  toldSelf: string | undefined
  /** Until it is joined again: occupants that the views know beside those in {@link told}, as hashes. */
  toldHashes: ReadonlySet<number> = new Set()
  /** Occupants in {@link told} who were not there when the user came back, and may come back too. */
  missing = new Set<string>()
  /** The same of occupants of whom only a hash was known. */
  missingHashes = new Set<number>()
  missingTimer: NodeJS.Timeout | undefined
  /** Until then the views go on seeing `toldNick`, which a ghost may have, instead of `nick`: milliseconds since the epoch. */
  ghostUntilMs: number | undefined
  ghostTimer: NodeJS.Timeout | undefined
  /** The network told the room's facts before its occupants. */
  hasFacts = false
  /** Runs while roles may be taken back when the facts come. */
  factsTimer: NodeJS.Timeout | undefined
  /** What came before the room was complete and must be told after it. */
  held: NetworkEvent[] = []
  deadline: NodeJS.Timeout | undefined
  /** The user stays in the room though no client is in it. */
  isKept = false
  /** How its JID was spelled last. */
  node = ''
  /** A client left the room, which is kept: it is known soon whether the client left only the room, or for good. */
  leaving: NodeJS.Timeout | undefined
  /** Clients that lost lines: what is said is kept for them until they are told those first. */
  readonly lost = new Map<string, Loss>()
  readonly #enteredMs = new Map<string, number>()

  constructor(id: RoomId, name: string, nick: string) {
    this.id = id
    this.name = name
    this.nick = nick
  }

  get isEmpty(): boolean {
    return this.views.length === 0 && this.pending.length === 0
  }

  /** The network calls the user otherwise than clients are told for now. */
  get hasGhost(): boolean {
    return this.ghostUntilMs !== undefined
  }

  /** The user's own nick as clients are to see it. */
  get shownNick(): string {
    return this.hasGhost ? (this.toldNick ?? this.nick) : this.nick
  }

  /** A nick that the network names, as clients are to see it. */
  shown(nick: string): string {
    return nick === this.nick ? this.shownNick : nick
  }

  forgetGhost(): void {
    clearTimeout(this.ghostTimer)
    this.ghostTimer = undefined
    this.ghostUntilMs = undefined
  }

  stopTimers(): void {
    clearTimeout(this.deadline)
    clearTimeout(this.ghostTimer)
    clearTimeout(this.factsTimer)
    clearTimeout(this.missingTimer)
    for (const { timer } of this.lost.values()) clearTimeout(timer)
  }

  viewOf(resource: string): View | undefined {
    for (const view of this.views) if (view.resources.includes(resource)) return view
    return undefined
  }

  /** The one to enter with: that which did before; else the first that a waiting client gave. */
  get passwordToAsk(): Sealed | undefined {
    return this.password ?? this.pending.find(join => join.password !== undefined)?.password
  }

  /** In the room, or waiting to be let in: what it says then waits too. */
  concerns(resource: string): boolean {
    return this.viewOf(resource) !== undefined || this.pending.some(join => join.resource === resource)
  }

  /** The resource is in the room since then, in milliseconds since the epoch; 0: nobody knows since when. */
  admit(resource: string, node: string, atMs = 0): void {
    this.isKept = false
    this.leaving = undefined
    this.node = node
    this.#enteredMs.set(resource, atMs)
    this.found(resource)
    const view = this.views.find(each => each.node === node)
    if (view === undefined) this.views.push({ node, resources: [resource] })
    else if (!view.resources.includes(resource)) view.resources = [...view.resources, resource]
  }

  /** The resource is not {@link lost} any more; what was known of it. */
  found(resource: string): Loss | undefined {
    const loss = this.lost.get(resource)
    clearTimeout(loss?.timer)
    this.lost.delete(resource)
    return loss
  }

  /** When the resource came in, for the last time if it did so repeatedly. */
  enteredAtMs(resource: string): number {
    return this.#enteredMs.get(resource) ?? 0
  }

  /** Who is in the room and was so then. */
  insideAt(atMs: number): string[] {
    return this.views.flatMap(({ resources }) => resources.filter(resource => this.enteredAtMs(resource) <= atMs))
  }

  /** The resource is out, or no longer waits to get in; the view or the pending join that it had. */
  remove(resource: string): { node: string; wasIn: boolean } | undefined {
    this.#enteredMs.delete(resource)
    this.found(resource)
    const waiting = this.pending.find(join => join.resource === resource)
    if (waiting !== undefined) this.pending = this.pending.filter(join => join !== waiting)
    const view = this.viewOf(resource)
    if (view !== undefined) {
      view.resources = view.resources.filter(each => each !== resource)
      if (view.resources.length === 0) this.views = this.views.filter(each => each !== view)
      return { node: view.node, wasIn: true }
    }
    return waiting && { node: waiting.node, wasIn: false }
  }

  /** An occupant's address (the room's own without a nick) as this view spells it. */
  address(node: string, nick = ''): Address {
    return { name: this.name, node, resource: nick }
  }
}

/** The rooms of one session, found by the id that the network uses or by the address that a stanza had. */
export class RoomTable {
  readonly #byId = new Map<RoomId, Room>()
  readonly #byNode = new Map<string, Room>()
  readonly #parse: (name: string) => RoomId

  constructor(parse: (name: string) => RoomId) {
    this.#parse = parse
  }

  get size(): number {
    return this.#byId.size
  }

  [Symbol.iterator](): Iterator<Room> {
    return this.#byId.values()
  }

  get(id: RoomId): Room | undefined {
    return this.#byId.get(id)
  }

  /** The room that was joined by this spelling of its JID's local part. */
  at(node: string): Room | undefined {
    return this.#byNode.get(node)
  }

  /** @throws NetworkError `bad-address` for a name that cannot exist */
  find({ node, name }: Address): Room | undefined {
    return this.#byNode.get(node) ?? this.#byId.get(this.#parse(name))
  }

  /** The room of that address, made when there is none. @throws NetworkError `bad-address` */
  obtain({ node, name, resource }: Address): Room {
    const existing = this.find({ node, name, resource })
    const room = existing ?? new Room(this.#parse(name), name, resource)
    this.#byId.set(room.id, room)
    if (node !== '') this.#byNode.set(node, room)
    return room
  }

  delete(room: Room): void {
    room.stopTimers()
    this.#byId.delete(room.id)
    for (const [node, other] of this.#byNode) if (other === room) this.#byNode.delete(node)
  }
}
