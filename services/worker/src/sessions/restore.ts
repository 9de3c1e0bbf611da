import type { SessionSnapshot, SessionSnapshot_JoinedRoom } from '@spectrum/messages'
import type { MessageId, RoomId } from '@spectrum/network'
import { loses } from './missed-lines.ts'
import { awaitAnswer } from './rooms.ts'
import type { Session } from './session.ts'

/**
 * Puts the session into the state that its snapshot tells, as if it had only lost its connection: resources and rooms
 * count as told, joins that had not been answered are answered when the network lets the user in again.
 */
export function restore(session: Session, snapshot: SessionSnapshot): void {
  session.lastActiveMs = snapshot.lastActiveMs
  session.lastLines.restore(snapshot.lastPrivateAtMs)
  for (const { resource, show, status, priority } of snapshot.resources)
    session.resources.set(resource, { show, status, priority })
  session.resources.toTell(session.resources.aggregateShown())
  session.missed.restore(snapshot.missedLines)
  session.suppressed('message', 'missed-lines-not-stored', snapshot.missedLeftOut)
  for (const stored of snapshot.rooms) {
    try {
      restoreRoom(session, stored)
    } catch (error) {
      // A name that the network, configured otherwise by now, does not know: no reason to lose the session with it.
      session.log.error({ err: error }, 'a room of a stored session cannot be restored')
      session.suppressed('room', 'not-restored')
    }
  }
  // Clients that lost lines and have not been told them yet.
  for (const { room: id, missedBy, toldTo } of snapshot.missedLines) {
    const room = session.rooms.get(id as RoomId)
    for (const resource of missedBy)
      if (room?.viewOf(resource) !== undefined && !toldTo.includes(resource)) loses(session, room, resource)
  }
}

function restoreRoom(session: Session, stored: SessionSnapshot_JoinedRoom): void {
  const {
    name,
    node,
    nick,
    resources,
    password,
    pending,
    occupants,
    lookOf,
    looks,
    toldSubject,
    isKept,
    ghostUntilMs,
    ownLook,
    toldHashes,
    lastLineId,
    lastLineAtMs,
  } = stored
  const room = session.rooms.obtain({ name, node, resource: nick })
  if (isKept) {
    room.isKept = true
    room.node = node
    room.password = password
  }
  if (resources.length > 0) {
    room.password = password
    room.toldNick = nick
    if (ghostUntilMs > 0) room.ghostUntilMs = ghostUntilMs
  }
  if (ownLook !== '') room.toldSelf = ownLook
  if (toldHashes.length > 0) room.toldHashes = new Set(toldHashes)
  // Whoever is missing when the room is joined again has left. Of older snapshots nobody knows the looks: told again.
  for (const [index, occupant] of occupants.entries()) room.told.set(occupant, looks[lookOf[index] ?? -1] ?? '')
  if (lastLineAtMs > 0) {
    const networkId = lastLineId === '' ? {} : { networkId: lastLineId as MessageId }
    room.lastLine = { atMs: lastLineAtMs, ...networkId }
    room.durableLine = room.lastLine
  }
  if (toldSubject !== undefined && resources.length > 0) room.toldSubject = toldSubject
  for (const resource of resources) room.admit(resource, node)
  for (const [resource, stanzaId] of Object.entries(pending))
    room.pending.push({ resource, node, nick, stanzaId, password })
  if (room.pending.length > 0) awaitAnswer(session, room)
}
