import type { Form, FormValues } from './forms.ts'
import type { MessageId, RoomId, UserId } from './ids.ts'
import type { Presence } from './messages.ts'

/** XEP-0045 section 5. `none` as a role is somebody who is not in the room. */
export type Affiliation = 'owner' | 'admin' | 'member' | 'none' | 'outcast'
export type Role = 'moderator' | 'participant' | 'visitor' | 'none'

/** Somebody in a room as the room sees them. */
export interface Occupant {
  readonly nick: string
  readonly affiliation: Affiliation
  readonly role: Role
  /** The person behind the nick, when the network tells. */
  readonly user?: UserId
  readonly away?: string | true
  /** More than away, where the network tells; goes before `away`. */
  readonly presence?: Presence
  /** How the person is called beyond the nick (Spectrum 2's alias). */
  readonly name?: string
  /** Stays the same whatever the nick, within this room (XEP-0421). Absent: derived from `user`, where that is known. */
  readonly id?: string
  /** Titles beyond role and affiliation (XEP-0317). */
  readonly hats?: readonly string[]
  /** True for the user's own occupant. */
  readonly self?: boolean
  readonly avatarHash?: string
}

/** What happened to an occupant. `present` is one of the list given while joining; all others are news. */
export type OccupantChange =
  | { readonly kind: 'present' }
  | { readonly kind: 'joined' }
  /** Role, affiliation or away changed. */
  | { readonly kind: 'changed'; readonly actor?: string; readonly reason?: string }
  | { readonly kind: 'left'; readonly reason?: string }
  | { readonly kind: 'kicked' | 'banned'; readonly actor?: string; readonly reason?: string }
  /** The occupant's nick is `to` from now on; `occupant.nick` is the one before. */
  | { readonly kind: 'renamed'; readonly to: string }

/** What is known of a room beyond its occupants; drives disco (XEP-0045 section 6.4). */
export interface RoomFacts {
  readonly name?: string
  readonly description?: string
  readonly isModerated?: boolean
  readonly isMembersOnly?: boolean
  readonly isPasswordProtected?: boolean
  readonly isHidden?: boolean
  readonly maxOccupants?: number
  /** SHA-1 of the room's picture in hex; fetched with the room's vCard (XEP-0486). */
  readonly avatarHash?: string
  /** The larger community that the room belongs to (XEP-0503). */
  readonly space?: { readonly id: string; readonly name: string }
}

/** One line of a room list. */
export interface RoomListing {
  readonly room: RoomId
  readonly name?: string
  readonly topic?: string
  readonly occupants?: number
}

export interface JoinRequest {
  readonly room: RoomId
  /** The nick the user asks for. The network tells in `room-joined` which it became. */
  readonly nick: string
  readonly password?: string
  /**
   * True when XMPP clients know the user to be in this room under `nick`: before a connection broke or its process died. The
   * network goes back to that nick where it can, so that there is no change to tell.
   */
  readonly isReturn?: boolean
  /** How much of the past the user's client wants (XEP-0045 section 7.2.14); absent = the network's habit. */
  readonly history?: {
    readonly maxMessages?: number
    readonly since?: Date
    /**
     * The last line that the user's clients were told, where they know the room already: by the network's id, and when it was said
     * by the network's clock. A network that keeps the past tells what was said after it, in order and before newer lines.
     */
    readonly after?: { readonly id?: MessageId; readonly at: Date }
  }
}

/** Rooms of a session. Calls are made in the user's order; each fulfils when the network took the request. */
export interface Rooms {
  /**
   * Asks to be let in; the answer comes as events: `room-joined`, `occupant` (kind `present`) …, `room-ready`, or `room-left` with
   * `refused`. Joining a room that the session is in already must be harmless and tells the same events again.
   */
  join(request: JoinRequest): Promise<void> | void
  leave(room: RoomId, reason?: string): Promise<void> | void
  /** The occupants now, from memory, the user's own included. Empty when the session is not in that room. */
  occupants(room: RoomId): Iterable<Occupant>
  /** The subject now, from memory. */
  subject(room: RoomId): { readonly text: string; readonly nick?: string; readonly at?: Date } | undefined
  /**
   * True where lines that were missed while the user was away are told after the next join: see {@link JoinRequest.history}.
   * Without a room: private messages, see {@link Login.lastPrivateAt}.
   */
  readonly fillsGaps?: (room?: RoomId) => boolean
  readonly setSubject?: (room: RoomId, subject: string) => Promise<void> | void
  /** Changes the user's nick. IRC: in all rooms at once, told by `occupant` events with kind `renamed`. */
  readonly changeNick?: (room: RoomId, nick: string) => Promise<void> | void
  readonly kick?: (room: RoomId, nick: string, reason?: string) => Promise<void>
  readonly setRole?: (room: RoomId, nick: string, role: Role, reason?: string) => Promise<void>
  readonly setAffiliation?: (
    room: RoomId,
    who: { readonly nick: string } | { readonly user: UserId },
    affiliation: Affiliation,
    reason?: string,
  ) => Promise<void>
  /** Who holds that affiliation: ban lists, member lists. */
  readonly affiliated?: (
    room: RoomId,
    affiliation: Affiliation,
  ) => Promise<readonly { readonly user: UserId; readonly nick?: string; readonly reason?: string }[]>
  readonly invite?: (room: RoomId, user: UserId, reason?: string) => Promise<void>
  readonly declineInvitation?: (room: RoomId, reason?: string) => Promise<void>
  /** Rooms the user may see, filtered and paged by the network where it can. */
  readonly list?: (query: {
    readonly pattern?: string
    readonly max: number
    readonly after?: string
  }) => Promise<{ readonly rooms: readonly RoomListing[]; readonly next?: string }>
  /** Rooms the user belongs to on the network, whether joined now or not: kept as bookmarks (XEP-0402). */
  readonly bookmarks?: () => Promise<readonly RoomListing[]>
  readonly create?: (name: string, members: readonly UserId[]) => Promise<RoomId>
  readonly destroy?: (room: RoomId, reason?: string) => Promise<void>
  /** The room's settings as a form (XEP-0045 section 10), and the filled form back. */
  readonly configuration?: {
    read(room: RoomId): Promise<Form>
    write(room: RoomId, values: FormValues): Promise<void>
  }
}
