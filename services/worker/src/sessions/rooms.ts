import {
  type Address,
  type Command,
  type JoinRoom,
  type LeaveRoom,
  OccupantPresence,
  type SelfPing,
  type SetSubject,
  Show,
} from '@spectrum/messages'
import { type FailureCode, type JoinRequest, NetworkError, type Occupant } from '@spectrum/network'
import { assertJoinFits } from './bounds.ts'
import { comesBack, finds, tellMissed } from './missed-lines.ts'
import { tellMissingGone } from './missing-occupants.ts'
import { available, codes, digest, plainSelf, unavailable } from './occupants.ts'
import { reveal, shownOccupants } from './own-nick.ts'
import { settleRoles } from './provisional-roles.ts'
import type { PendingJoin, Room } from './room.ts'
import type { Session } from './session.ts'
import { staysConnected } from './stay-connected.ts'
import { tellSubject } from './subject.ts'

// XEP-0045, what users ask: joining, leaving, nick, subject. What the network tells is in room-events.ts.

/** Joins, changes the nick, or tells a resource again what it asks for. @throws NetworkError for names that cannot exist */
export function joinRoom(session: Session, command: Command, value: JoinRoom): void | Promise<void> {
  const to = addressOf(value.room)
  if (to.resource === '') throw new NetworkError('bad-address', 'A room is entered with a nick.')
  if (!session.context.manifest.hasRooms) throw new NetworkError('not-supported', 'This network has no rooms.')
  const { resource, stanzaId } = command
  // The frontend's word may be here before what it tells every session of its new stream.
  if (value.inDoubt) session.doubtJoins()
  const known = session.rooms.find(to)
  assertJoinFits(session, command, value, known)
  const room = session.rooms.obtain(to)
  const view = room.viewOf(resource)
  if (view !== undefined) {
    if (to.resource !== room.shownNick) return changeNick(session, room, to.resource)
    // A client that joins again has lost its state (XEP-0045 section 7.2.1 knows no such error).
    if (value.hasMucElement && room.state === 'joined')
      enter(session, room, { resource, node: view.node, nick: to.resource, stanzaId })
    return
  }
  // No new join, but what somebody says who is waiting to get in: a change of nick (section 7.6), or of what they show.
  if (!value.hasMucElement && room.concerns(resource))
    return to.resource === room.shownNick ? undefined : changeNick(session, room, to.resource)
  if (room.isEmpty && !room.isKept) room.nick = to.resource
  const join = {
    resource,
    node: to.node,
    nick: to.resource,
    stanzaId,
    password: value.password,
    maxHistory: value.maxHistoryStanzas,
  }
  session.markChanged()
  if (room.state === 'joined') return enter(session, room, join)
  room.pending = [...room.pending.filter(each => each.resource !== resource), join]
  awaitAnswer(session, room)
  if (!session.connection.isOnline) session.connection.hurry()
  else if (room.state === 'waiting') requestJoin(session, room)
}

/** Asks the network to let the user in; used again after each reconnect. */
export function requestJoin(session: Session, room: Room): void {
  room.state = 'asked'
  const rooms = session.connection.rooms
  if (rooms === undefined)
    return refuseJoins(session, room, new NetworkError('not-supported', 'This network has no rooms.'))
  const fail = (reason: unknown) => {
    if (session.rooms.get(room.id) === room && room.state !== 'joined')
      refuseJoins(session, room, NetworkError.from(reason))
  }
  const history = historyWanted(session, room)
  const isReturn = (room.views.length > 0 || room.isKept) && { isReturn: true }
  const ask = (password?: string) =>
    rooms.join({
      room: room.id,
      nick: room.shownNick,
      ...isReturn,
      ...history,
      ...(password === undefined ? {} : { password }),
    })
  try {
    room.asked = room.passwordToAsk
    const asked = room.asked === undefined ? ask() : session.context.openPassword(room.asked).then(ask)
    if (asked instanceof Promise) asked.catch(fail)
  } catch (error) {
    fail(error)
  }
}

/** Whoever is in the room has its past but for the time of the loss; else the client's wish counts (XEP-0045 section 7.2.14). */
function historyWanted(session: Session, room: Room): Pick<JoinRequest, 'history'> {
  const { lostAtMs } = session.connection
  if (room.views.length > 0 || room.isKept) {
    const { networkId: id, atMs } = room.lastLine ?? {}
    const after = atMs !== undefined && { after: { at: new Date(atMs), ...(id !== undefined && { id }) } }
    return { history: { ...(lostAtMs !== undefined && { since: new Date(lostAtMs) }), ...after } }
  }
  const maxMessages = room.pending[0]?.maxHistory
  return maxMessages === undefined ? {} : { history: { maxMessages } }
}

/** Everything that a resource must see when it comes in, in the order of XEP-0045 section 7.2: others, itself, the subject. */
export function enter(session: Session, room: Room, join: PendingJoin): void {
  const { resource, node, nick, stanzaId } = join
  const to = [resource]
  settleRoles(session, room)
  tellMissingGone(session, room)
  const hasLost = room.lost.has(resource) || session.isInDoubt
  room.admit(resource, node, session.context.clock.now())
  let self: Occupant = plainSelf(room.shownNick)
  for (const occupant of shownOccupants(session, room)) {
    if (occupant.self) self = occupant
    else session.tell({ $case: 'occupantPresence', value: available(room, node, occupant) }, to)
  }
  const assigned = self.nick === nick ? [] : [codes.nickAssigned]
  if (session.resources.size === 0) session.presenceChanged()
  const own = available(room, node, { ...self, self: true }, { codes: [codes.self, ...assigned], stanzaId })
  session.tell({ $case: 'occupantPresence', value: own }, to)
  // Behind what frontends still return.
  if (hasLost) return comesBack(session, room, resource, { hasEntered: true })
  tellMissed(session, room, node, resource)
  tellSubject(session, room, node, to)
}

export function leaveRoom(session: Session, command: Command, value: LeaveRoom): void | Promise<void> {
  const room = session.rooms.find(addressOf(value.room))
  if (room === undefined) return undefined
  takeOut(session, room, command.resource, value.status)
  if (room.isKept) abandonUnlessGone(session, room, command.resource, value.status)
  session.presenceChanged()
  return session.endIfDeserted()
}

/** A resource goes; the last one takes the user out of the room, unless the user stays connected. */
export function takeOut(session: Session, room: Room, resource: string, reason: string): void {
  const removed = room.remove(resource)
  if (removed === undefined) return
  session.markChanged()
  if (removed.wasIn) {
    const value = unavailable(room, removed.node, room.shownNick, { codes: [codes.self], status: reason })
    session.tell({ $case: 'occupantPresence', value }, [resource])
  }
  // Whoever comes in next is told the nick of then.
  if (room.views.length === 0) room.forgetGhost()
  if (!room.isEmpty || room.isKept) return
  if (removed.wasIn && staysConnected(session)) room.isKept = true
  else abandon(session, room, reason)
}

/**
 * A client left a room of which it was the last. When it goes for good, its server leaves the rooms for it, in any order with
 * the presence that says so: only who is still there some seconds later has left the room, and not gone.
 */
function abandonUnlessGone(session: Session, room: Room, resource: string, reason: string): void {
  const timer = setTimeout(() => {
    if (room.leaving !== timer || session.isOver || session.rooms.get(room.id) !== room) return
    if (!room.isEmpty || !session.resources.has(resource)) return
    room.isKept = false
    session.suppressed('message', 'left-before', session.missed.forgetUnread(room.id))
    abandon(session, room, reason)
  }, session.context.limits.leaveMs).unref()
  room.leaving = timer
}

/** Leaves the room on the network and forgets it. */
export function abandon(session: Session, room: Room, reason = ''): void {
  session.rooms.delete(room)
  session.markChanged()
  session.ready()
  if (room.state === 'waiting') return
  session.attempt('leave', () => session.connection.rooms?.leave(room.id, reason === '' ? undefined : reason))
}

export function setSubject(session: Session, command: Command, value: SetSubject): void | Promise<void> {
  const room = session.rooms.find(addressOf(value.room))
  const set = () => {
    const view = room?.viewOf(command.resource)
    if (room === undefined || view === undefined) throw notJoined()
    const { rooms } = session.connection
    if (rooms?.setSubject === undefined) throw new NetworkError('not-supported', 'Rooms have no subject here.')
    const isSame = room.toldSubject === value.subject
    const done = session.connection.guarded(rooms.setSubject(room.id, value.subject))
    if (!isSame) return done
    // Nothing changes, so nothing is told to all: whoever asked is answered alone.
    const again = () => tellSubject(session, room, view.node, [command.resource])
    return done instanceof Promise ? done.then(again) : again()
  }
  if (room === undefined || !room.concerns(command.resource)) throw notJoined()
  if (session.connection.isOnline && room.state === 'joined') return set()
  return session.whenReady(room).then(set)
}

/** XEP-0410: in the room is who has been let in, also while the connection to the network is away. */
export function selfPing(session: Session, { resource, stanzaId }: Command, { room: from }: SelfPing): void {
  const room = session.rooms.find(addressOf(from))
  if (room?.viewOf(resource) === undefined) throw notJoined()
  finds(session, room, resource)
  session.tell({ $case: 'selfPingAnswered', value: { from, stanzaId } }, [resource])
}

/** XEP-0045 section 7.4: not an occupant. */
export const notJoined = (): NetworkError => new NetworkError('not-joined', 'You are not in that room.')

function changeNick(session: Session, room: Room, nick: string): void | Promise<void> {
  const change = () => {
    const { rooms } = session.connection
    // The network calls the user so already.
    if (nick === room.nick) return reveal(session, room)
    if (rooms?.changeNick === undefined) throw new NetworkError('not-supported', 'Nicks cannot be changed here.')
    return session.connection.guarded(rooms.changeNick(room.id, nick))
  }
  if (session.connection.isOnline && room.state === 'joined') return change()
  return session.whenReady(room).then(change)
}

/** Answers every join of the room that waits with an error; without anybody left in it, the room is forgotten. */
export function refuseJoins(session: Session, room: Room, error: NetworkError): void {
  clearTimeout(room.deadline)
  room.deadline = undefined
  const joins = room.pending
  room.pending = []
  for (const join of joins) refuseJoin(session, join, { ...room.address(join.node, join.nick) }, error)
  if (joins.length > 0) session.markChanged()
  if (room.isEmpty && !room.isKept) abandon(session, room)
  session.endIfDesertedSoon()
}

/** An error presence (XEP-0045 section 7.2) for one resource. */
export function refuseJoin(
  session: Session,
  { resource, stanzaId }: { resource: string; stanzaId: string },
  from: Address,
  { code, message }: { code: FailureCode; message: string },
): void {
  const value = OccupantPresence.create({ from, stanzaId, show: Show.SHOW_OFFLINE, refused: { code, text: message } })
  session.tell({ $case: 'occupantPresence', value }, [resource])
  session.context.metrics.countCommand('joinRoom', code)
}

/** What is told of an occupant becomes what the views know. */
export function remember(room: Room, occupant: Occupant): void {
  room.told.set(occupant.nick, digest(occupant))
}

/** The deadline within which every join is answered. */
export function awaitAnswer(session: Session, room: Room): void {
  room.deadline ??= setTimeout(() => {
    room.deadline = undefined
    const failure = session.connection.lastFailure
    const words = failure === undefined || session.connection.isOnline ? 'The network did not answer.' : failure.message
    refuseJoins(session, room, new NetworkError('unreachable', words))
  }, session.context.limits.answerMs).unref()
}

/** @throws NetworkError when the stanza had no address at all */
export function addressOf(address: Address | undefined): Address {
  if (address === undefined) throw new NetworkError('bad-request', 'The address is missing.')
  return address
}
