import { type JoinRequest, NetworkError, type NetworkEvent, type RoomId, type Rooms } from '@spectrum/network'
import { entrance, memberIn, subjectOf } from './events.ts'
import { parseNick, parseRoom } from './ids.ts'
import type { Member, Room } from './room.ts'
import { readConfiguration, writeConfiguration } from './room-configuration.ts'
import type { ParrotSession } from './session.ts'
import type { World } from './world.ts'

/** The rooms of one session. */
export function createRooms(session: ParrotSession, world: World): Rooms {
  const inside = (id: RoomId) => {
    const room = world.room(id)
    return { room, me: memberIn(room, session) }
  }

  return {
    join(request) {
      session.requireOnline()
      const nick = parseNick(request.nick)
      parseRoom(request.room)
      if (session.latencyMs === 0) return enter(session, world, request, nick)
      return session.pause().then(() => enter(session, world, request, nick))
    },
    leave(id, reason) {
      const { room, me } = inside(id)
      expel(world, room, me, { kind: 'left', ...(reason === undefined ? {} : { reason }) })
    },
    *occupants(id) {
      const room = world.room(id)
      if (room.memberOf(session) === undefined) return
      for (const member of room.members) yield room.occupant(member, session)
    },
    subject(id) {
      const room = world.room(id)
      return room.memberOf(session) === undefined ? undefined : room.subject
    },
    setSubject(id, text) {
      const { room, me } = inside(id)
      if (me.role === 'visitor') throw new NetworkError('not-allowed', 'Visitors do not set subjects.')
      const subject = { text, nick: me.nick, at: new Date(world.clock.now()) }
      room.subject = subject
      room.tell(() => subjectOf(room, subject))
    },
    changeNick(id, wanted) {
      const { room, me } = inside(id)
      const nick = parseNick(wanted)
      if (nick === me.nick) return
      const before = room.occupant(me)
      room.rename(me, nick)
      room.tell(viewer => ({
        type: 'occupant',
        room: id,
        occupant: viewer === session ? { ...before, self: true } : before,
        change: { kind: 'renamed', to: nick },
      }))
    },
    async kick(id, nick, reason) {
      const { room, me } = inside(id)
      expel(world, room, subordinate(room, me, nick), { kind: 'kicked', actor: me.nick, ...(reason && { reason }) })
    },
    async setRole(id, nick, role, reason) {
      const { room, me } = inside(id)
      const other = subordinate(room, me, nick)
      if (role === 'none')
        return expel(world, room, other, { kind: 'kicked', actor: me.nick, ...(reason && { reason }) })
      other.role = role
      tellChange(room, other, me, reason)
    },
    async setAffiliation(id, who, affiliation, reason) {
      const { room, me } = inside(id)
      if (!['owner', 'admin'].includes(room.affiliationOf(session.user)))
        throw new NetworkError('not-allowed', 'Only owners and admins do that.')
      const user = 'user' in who ? who.user : subordinate(room, me, who.nick).user
      room.affiliations.set(user, affiliation)
      for (const member of room.members.filter(each => each.user === user)) {
        if (affiliation === 'outcast')
          expel(world, room, member, { kind: 'banned', actor: me.nick, ...(reason && { reason }) })
        else tellChange(room, member, me, reason)
      }
    },
    async affiliated(id, affiliation) {
      const { room } = inside(id)
      return [...room.affiliations]
        .filter(([, held]) => held === affiliation)
        .map(([user]) => {
          const nick = room.members.find(member => member.user === user)?.nick
          return { user, ...(nick === undefined ? {} : { nick }) }
        })
    },
    async invite(id, user, reason) {
      const { room, me } = inside(id)
      const guests = [...world.inhabitantsCalled(user)]
      if (guests.length === 0) throw new NetworkError('gone', `Nobody called ${user} is here now.`)
      for (const guest of guests)
        guest.emit({
          type: 'room-invitation',
          room: id,
          from: me.nick,
          ...(reason && { reason }),
          ...(room.password && { password: room.password }),
        })
    },
    async declineInvitation(id, reason) {
      const text = `${session.user} declined the invitation${reason ? `: ${reason}` : '.'}`
      world.room(id).tell(() => ({ type: 'room-notice', room: id, text }))
    },
    async list({ pattern, max, after }) {
      const found = world
        .publicRooms()
        .filter(({ id }) => pattern === undefined || id.includes(pattern))
        .sort((a, b) => (a.id < b.id ? -1 : 1))
        .filter(({ id }) => after === undefined || id > after)
      const page = found.slice(0, max)
      const last = page.at(-1)
      return {
        rooms: page.map(({ id, facts, subject, members }) => ({
          room: id,
          ...(facts.name === undefined ? {} : { name: facts.name }),
          ...(subject === undefined ? {} : { topic: subject.text }),
          occupants: members.length,
        })),
        ...(found.length > max && last !== undefined ? { next: last.id } : {}),
      }
    },
    async create(name, members) {
      const id = parseRoom(name)
      enter(session, world, { room: id, nick: session.user }, session.user)
      for (const user of members) await this.invite?.(id, user)
      return id
    },
    async destroy(id, reason) {
      const { room } = inside(id)
      if (room.affiliationOf(session.user) !== 'owner') throw new NetworkError('not-allowed', 'Only owners do that.')
      for (const member of [...room.members].filter(({ inhabitant }) => inhabitant !== undefined))
        expel(world, room, member, { kind: 'left', ...(reason && { reason }) })
    },
    configuration: {
      read: async id => readConfiguration(inside(id).room),
      write: async (id, values) => {
        const { room } = inside(id)
        if (room.affiliationOf(session.user) !== 'owner') throw new NetworkError('not-allowed', 'Only owners do that.')
        writeConfiguration(room, values)
      },
    },
  }
}

/** Lets the session in and tells everybody; a refusal is told as an event, as the interface wants it. */
function enter(session: ParrotSession, world: World, { room: id, password }: JoinRequest, nick: string): void {
  const room = world.room(id)
  const present = room.memberOf(session)
  if (present !== undefined) return emitAll(session, entrance(room, present, session))
  try {
    const member = room.admit(session, nick, password)
    room.tell(
      () => ({ type: 'occupant', room: id, occupant: room.occupant(member), change: { kind: 'joined' } }),
      session,
    )
    emitAll(session, entrance(room, member, session))
  } catch (reason) {
    const { code, message } = NetworkError.from(reason)
    session.emit({ type: 'room-left', room: id, why: { kind: 'refused', code, reason: message } })
    if (room.isDeserted) world.forget(room)
  }
}

/** Takes somebody out of a room: tells those who stay what happened, and the one who goes why. */
export function expel(
  world: World,
  room: Room,
  member: Member,
  why: { kind: 'left' | 'kicked' | 'banned' | 'disconnected'; actor?: string; reason?: string },
): void {
  room.expel(member)
  const { kind, ...rest } = why
  const occupant = { ...room.occupant(member), role: 'none' as const }
  const change = kind === 'kicked' || kind === 'banned' ? { kind, ...rest } : { kind: 'left' as const, ...rest }
  room.tell(() => ({ type: 'occupant', room: room.id, occupant, change }))
  member.inhabitant?.emit({ type: 'room-left', room: room.id, why })
  if (room.isDeserted) world.forget(room)
}

function tellChange(room: Room, member: Member, actor: Member, reason: string | undefined): void {
  room.tell(viewer => ({
    type: 'occupant',
    room: room.id,
    occupant: room.occupant(member, viewer),
    change: { kind: 'changed', actor: actor.nick, ...(reason && { reason }) },
  }))
}

/** The one called `nick`, when `me` may act upon them. The parrot itself lets nobody do anything to it. */
function subordinate(room: Room, me: Member, nick: string): Member {
  if (me.role !== 'moderator') throw new NetworkError('not-allowed', 'Only moderators do that.')
  const other = room.memberCalled(nick)
  if (other === undefined) throw new NetworkError('not-found', `Nobody here is called ${nick}.`)
  if (other.inhabitant === undefined) throw new NetworkError('not-allowed', 'The parrot stays.')
  return other
}

function emitAll(session: ParrotSession, events: Iterable<NetworkEvent>): void {
  for (const event of events) session.emit(event)
}
