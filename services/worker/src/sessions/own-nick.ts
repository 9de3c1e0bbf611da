import type { Occupant, OccupantChange, RoomId } from '@spectrum/network'
import { available, codes, digest, plainSelf } from './occupants.ts'
import type { Room } from './room.ts'
import type { Session } from './session.ts'
import { tellRename, tellViews } from './views.ts'

// After a lost connection the network may hold the user's nick for a while: a ghost of the old connection has it, and the user
// is in the room under another. For `limits.ghostMs` clients are told neither: they go on seeing their own nick, and no ghost.
// When the network gives the nick back in that time, nothing is ever told.

/** The room's occupants as clients are to see them. */
export function* shownOccupants(session: Session, room: Room): Generator<Occupant> {
  for (const occupant of occupantsOf(session, room.id)) {
    if (!room.hasGhost) yield occupant
    else if (occupant.self) yield { ...occupant, nick: room.shownNick }
    else if (occupant.nick !== room.toldNick) yield occupant
  }
}

/** The room is complete again: clients may know another nick than the network. Before anything else of it is told. */
export function settleOwnNick(session: Session, room: Room, hadViews: boolean): void {
  const { clock, limits } = session.context
  if (!hadViews || room.toldNick === undefined || room.toldNick === room.nick) {
    if (room.hasGhost) session.markChanged()
    room.forgetGhost()
    room.toldNick = room.nick
    return
  }
  const now = clock.now()
  if (room.ghostUntilMs === undefined) {
    room.ghostUntilMs = now + limits.ghostMs
    session.markChanged()
  }
  clearTimeout(room.ghostTimer)
  if (room.ghostUntilMs <= now) return tellOwnNick(session, room, room.nick, [codes.nickAssigned])
  // The clock of the process that set the deadline may be ahead.
  const waitMs = Math.min(room.ghostUntilMs - now, limits.ghostMs)
  room.ghostTimer = setTimeout(() => {
    // While the connection is away nobody knows: looked at when the room is complete again.
    if (room.state === 'joined') reveal(session, room)
  }, waitMs).unref()
}

/** The user's present nick is told to clients, and the ghost, if it is still there, as an occupant. */
export function reveal(session: Session, room: Room): void {
  if (!room.hasGhost) return
  const ghost = ghostOf(session, room)
  tellOwnNick(session, room, room.nick, [codes.nickAssigned])
  if (ghost !== undefined) tellGhost(session, room, ghost)
}

/**
 * While there is a ghost: what becomes of an occupant's change. Undefined when clients are told nothing of it; a new nick of the
 * user's own is told here.
 */
export function concealed(
  session: Session,
  room: Room,
  occupant: Occupant,
  change: OccupantChange,
): { occupant: Occupant; change: OccupantChange } | undefined {
  if (occupant.self) {
    if (change.kind !== 'renamed') return { occupant: { ...occupant, nick: room.shownNick }, change }
    ownNickChanged(session, room, change.to)
    return undefined
  }
  if (change.kind === 'renamed') {
    // The ghost gives the nick up, as services make it: under another name it is anybody.
    if (occupant.nick === room.toldNick)
      return { occupant: { ...occupant, nick: change.to }, change: { kind: 'joined' } }
    if (change.to === room.toldNick) tellOwnNick(session, room, room.nick, [codes.nickAssigned])
    return { occupant, change }
  }
  if (occupant.nick !== room.toldNick) return { occupant, change }
  if (change.kind !== 'joined') return undefined
  // A ghost does not come in: somebody else has taken the nick.
  tellOwnNick(session, room, room.nick, [codes.nickAssigned])
  return { occupant, change }
}

function ownNickChanged(session: Session, room: Room, to: string): void {
  if (to === room.toldNick) {
    room.nick = to
    room.forgetGhost()
    return session.markChanged()
  }
  const ghost = ghostOf(session, room)
  tellOwnNick(session, room, to, [])
  if (ghost !== undefined) tellGhost(session, room, ghost)
}

function tellOwnNick(session: Session, room: Room, to: string, more: readonly number[]): void {
  const { toldNick = room.nick } = room
  let self = plainSelf(room.nick)
  for (const occupant of occupantsOf(session, room.id)) if (occupant.self) self = occupant
  room.forgetGhost()
  room.nick = to
  room.toldNick = to
  room.toldSelf = digest(self)
  tellRename(session, room, { ...self, nick: toldNick }, to, more)
  session.markChanged()
}

function tellGhost(session: Session, room: Room, ghost: Occupant): void {
  room.told.set(ghost.nick, digest(ghost))
  tellViews(session, room, node => available(room, node, ghost))
}

function ghostOf(session: Session, room: Room): Occupant | undefined {
  for (const occupant of occupantsOf(session, room.id))
    if (!occupant.self && occupant.nick === room.toldNick) return occupant
  return undefined
}

const occupantsOf = (session: Session, room: RoomId): Iterable<Occupant> =>
  session.connection.rooms?.occupants(room) ?? []
