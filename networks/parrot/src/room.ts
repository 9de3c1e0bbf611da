import {
  type Affiliation,
  type FailureCode,
  NetworkError,
  type NetworkEvent,
  type Occupant,
  type Role,
  type RoomFacts,
  type RoomId,
  type UserId,
} from '@spectrum/network'
import { polly } from './ids.ts'
import type { Inhabitant } from './inhabitant.ts'

/** Somebody in the room; the parrot is the one without an inhabitant behind it. */
export interface Member {
  nick: string
  role: Role
  readonly user: UserId
  readonly inhabitant?: Inhabitant
}

/** Rooms that refuse, to rehearse it: by name. `locked` opens to the password `sesame`. */
const refusals: Readonly<Record<string, FailureCode>> = {
  locked: 'not-authorized',
  full: 'room-full',
  members: 'members-only',
  banned: 'not-allowed',
  nowhere: 'not-found',
}

/** The parrot's nick in every room. */
export const parrotNick = 'Polly'

/** One room: who is in it, in the order they came, and what is known of it. Keeps order and rules; sessions tell the story. */
export class Room {
  readonly id: RoomId
  facts: RoomFacts
  password: string | undefined
  subject: { text: string; nick?: string; at?: Date } | undefined
  readonly affiliations = new Map<UserId, Affiliation>()
  readonly #members: Member[] = [{ nick: parrotNick, role: 'participant', user: polly }]

  constructor(id: RoomId) {
    this.id = id
    this.facts = { name: id, description: `Where ${id} meets`, isPasswordProtected: id === 'locked' }
    this.password = id === 'locked' ? 'sesame' : undefined
    this.subject = { text: `Welcome to ${id}`, nick: parrotNick }
  }

  get members(): readonly Member[] {
    return this.#members
  }

  /** True when only the parrot is left. */
  get isDeserted(): boolean {
    return this.#members.every(({ inhabitant }) => inhabitant === undefined)
  }

  memberOf(inhabitant: Inhabitant): Member | undefined {
    return this.#members.find(member => member.inhabitant === inhabitant)
  }

  memberCalled(nick: string): Member | undefined {
    return this.#members.find(member => member.nick === nick)
  }

  /** Lets somebody in, or throws why not. The first one in a room owns it. */
  admit(inhabitant: Inhabitant, nick: string, password: string | undefined): Member {
    const refusal = refusals[this.id]
    const opensByPassword = this.password !== undefined
    if (refusal !== undefined && !opensByPassword) throw new NetworkError(refusal, `${this.id} refuses on demand.`)
    if (opensByPassword && password !== this.password)
      throw new NetworkError('not-authorized', `${this.id} wants another password.`)
    if (this.affiliations.get(inhabitant.user) === 'outcast')
      throw new NetworkError('not-allowed', 'You are banned from this room.')
    if (this.memberCalled(nick) !== undefined)
      throw new NetworkError('conflict', 'Somebody here is called that already.')
    if (this.affiliations.size === 0) this.affiliations.set(inhabitant.user, 'owner')
    const member: Member = { nick, role: this.#roleOf(inhabitant.user), user: inhabitant.user, inhabitant }
    this.#members.push(member)
    return member
  }

  expel(member: Member): void {
    const at = this.#members.indexOf(member)
    if (at >= 0) this.#members.splice(at, 1)
  }

  rename(member: Member, nick: string): void {
    if (this.memberCalled(nick) !== undefined)
      throw new NetworkError('conflict', 'Somebody here is called that already.')
    member.nick = nick
  }

  affiliationOf(user: UserId): Affiliation {
    return this.affiliations.get(user) ?? 'none'
  }

  /** The member as `viewer` sees it. */
  occupant(member: Member, viewer?: Inhabitant): Occupant {
    return {
      nick: member.nick,
      role: member.role,
      affiliation: this.affiliationOf(member.user),
      user: member.user,
      ...(viewer !== undefined && member.inhabitant === viewer ? { self: true } : {}),
    }
  }

  /** Tells every inhabitant here, but `except`, what `event` makes of it. */
  tell(event: (viewer: Inhabitant) => NetworkEvent, except?: Inhabitant): void {
    for (const { inhabitant } of [...this.#members])
      if (inhabitant !== undefined && inhabitant !== except) inhabitant.emit(event(inhabitant))
  }

  #roleOf(user: UserId): Role {
    const affiliation = this.affiliationOf(user)
    if (affiliation === 'owner' || affiliation === 'admin') return 'moderator'
    return this.facts.isModerated === true && affiliation === 'none' ? 'visitor' : 'participant'
  }
}
