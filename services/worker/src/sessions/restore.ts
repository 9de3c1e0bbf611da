import type { SessionSnapshot } from '@spectrum/messages'
import type { MessageId } from '@spectrum/network'
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
  for (const {
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
  } of snapshot.rooms) {
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
}
