import { Affiliation } from '@spectrum/messages'
import type { NetworkEvent, Occupant, OccupantChange } from '@spectrum/network'
import { NetworkError } from '@spectrum/network'
import { tellFromGateway } from './messages.ts'
import { awaitReturn, isBackUnchanged } from './missing-occupants.ts'
import { available, codes, digest, fingerprint, unavailable } from './occupants.ts'
import { concealed, settleOwnNick, shownOccupants } from './own-nick.ts'
import { awaitFacts, isToldSo, otherLook, settleRoles } from './provisional-roles.ts'
import type { Room } from './room.ts'
import { abandon, enter, refuseJoins, remember } from './rooms.ts'
import type { Session } from './session.ts'
import { tellSubject } from './subject.ts'
import { tellRename, tellViews } from './views.ts'

// XEP-0045, what the network tells of rooms.

type Of<Type extends NetworkEvent['type']> = Extract<NetworkEvent, { type: Type }>

/** Occupants come from now on. They are shown when the list is complete, from the network's memory. */
export function roomJoined(session: Session, { room: id, facts, nick, at }: Of<'room-joined'>): void {
  const room = session.rooms.get(id)
  if (room === undefined) {
    // Nobody asked for it, or nobody wants it any more.
    session.suppressed('room-joined', 'not-wanted')
    return session.attempt('leave', () => session.connection.rooms?.leave(id))
  }
  if (room.nick !== nick) session.markChanged()
  room.nick = nick
  room.password = room.asked
  room.state = 'filling'
  room.hasFacts = facts !== undefined
  clearTimeout(room.factsTimer)
  room.factsTimer = undefined
  for (const { type } of room.held.splice(0)) session.suppressed(type, 'connection-lost')
  room.fillsGaps = session.connection.rooms?.fillsGaps?.(id) ?? false
  if (room.lastLine === undefined) session.lastLines.told(room, at === undefined ? {} : { saidAt: at })
}

/**
 * The list is complete. Resources that were in the room before the connection broke are told the difference only; those
 * that wait get everything; what was said meanwhile comes last.
 */
export function roomReady(session: Session, { room: id }: Of<'room-ready'>): void {
  const room = session.rooms.get(id)
  if (room === undefined) return session.suppressed('room-ready', 'not-wanted')
  room.state = 'joined'
  clearTimeout(room.deadline)
  room.deadline = undefined
  tellDifference(session, room)
  const joins = room.pending
  room.pending = []
  if (joins.length > 0) session.markChanged()
  else session.snapshots.markOutdated()
  for (const join of joins) enter(session, room, join)
  const held = room.held
  room.held = []
  for (const event of held) session.receive(event)
  session.ready()
}

function tellDifference(session: Session, room: Room): void {
  const before = room.told
  const hashes = room.toldHashes
  const hadViews = room.views.length > 0
  const missingHashes = new Set(hashes)
  const isKnown = (nick: string, look: string) =>
    before.get(nick) === look || (hashes.size > 0 && hashes.has(fingerprint(nick, look)))
  const isProvisional = hadViews && !room.hasFacts
  room.told = new Map()
  room.toldHashes = new Set()
  settleOwnNick(session, room, hadViews)
  for (const occupant of shownOccupants(session, room)) {
    const look = digest(occupant)
    if (occupant.self) {
      if (isProvisional && room.toldSelf === otherLook(look)) continue
      if (hadViews && room.toldSelf !== undefined && room.toldSelf !== look)
        tellViews(session, room, node => available(room, node, occupant))
      room.toldSelf = look
    } else if (isProvisional && isKnown(occupant.nick, otherLook(look))) {
      room.told.set(occupant.nick, otherLook(look))
      missingHashes.delete(fingerprint(occupant.nick, otherLook(look)))
    } else {
      remember(room, occupant)
      missingHashes.delete(fingerprint(occupant.nick, look))
      if (hadViews && !isKnown(occupant.nick, look)) tellViews(session, room, node => available(room, node, occupant))
    }
  }
  if (isProvisional) awaitFacts(session, room)
  if (hadViews) {
    const missing = [...before].filter(([nick]) => !room.told.has(nick))
    for (const [nick, look] of missing) room.told.set(nick, look)
    const nicks = missing.map(([nick]) => nick)
    awaitReturn(session, room, nicks, missingHashes)
  }
  const subject = session.connection.rooms?.subject(room.id)?.text ?? ''
  if (hadViews && room.toldSubject !== undefined && room.toldSubject !== subject)
    for (const { node, resources } of room.views) tellSubject(session, room, node, resources)
  room.toldSubject = subject
}

export function roomLeft(session: Session, { room: id, why }: Of<'room-left'>): void {
  const room = session.rooms.get(id)
  if (room === undefined) return session.suppressed('room-left', 'not-wanted')
  if (why.kind === 'disconnected') return session.connection.isOnline ? rejoin(session, room) : undefined
  const wasIn = room.views.length > 0
  // The user left and comes back: this is the answer to the leaving.
  if (why.kind === 'left' && !wasIn && room.state !== 'joined') return session.suppressed('room-left', 'left-before')
  const reason = why.reason ?? ''
  if (room.isKept) lostWhileAbsent(session, room, why)
  if (why.kind === 'refused') {
    if (wasIn)
      tellViews(session, room, node =>
        unavailable(room, node, room.shownNick, { codes: [codes.self, codes.error], reason }),
      )
    room.views = []
    room.forgetGhost()
    room.state = 'waiting'
    return refuseJoins(session, room, new NetworkError(why.code, reason || 'The room did not let you in.'))
  }
  const code = why.kind === 'kicked' ? [codes.kicked] : why.kind === 'banned' ? [codes.banned] : []
  const actor = 'actor' in why ? (why.actor ?? '') : ''
  const affiliation = why.kind === 'banned' ? outcast : none
  tellViews(session, room, node =>
    unavailable(room, node, room.shownNick, { codes: [codes.self, ...code], actor, reason, affiliation }),
  )
  room.views = []
  room.forgetGhost()
  room.state = 'waiting'
  if (room.pending.length > 0)
    refuseJoins(session, room, new NetworkError('unavailable', reason || 'You left the room.'))
  else abandon(session, room)
  session.endIfDesertedSoon()
}

/** The user lost a room while no client was in it to see that: the gateway says so. */
function lostWhileAbsent(session: Session, room: Room, why: Of<'room-left'>['why']): void {
  room.isKept = false
  if (why.kind === 'left') return
  const how = why.kind === 'banned' ? 'banned from' : why.kind === 'kicked' ? 'kicked from' : 'not let into'
  tellFromGateway(session, `You were ${how} ${room.name}${why.reason ? `: ${why.reason}` : '.'}`)
}

const outcast = Affiliation.AFFILIATION_OUTCAST
const none = Affiliation.AFFILIATION_UNSPECIFIED

/** The network lost this room alone: asked for again at once. */
function rejoin(session: Session, room: Room): void {
  room.state = 'waiting'
  session.rejoin(room)
}

export function occupantChanged(session: Session, event: Of<'occupant'>): void {
  const { room: id } = event
  const room = session.rooms.get(id)
  if (room === undefined) return session.suppressed('occupant', 'not-wanted')
  // Until the list is complete it is the network's memory that counts.
  if (room.state !== 'joined') return followOwnNick(room, event.occupant, event.change)
  const shown = room.hasGhost ? concealed(session, room, event.occupant, event.change) : event
  if (shown === undefined) return session.suppressed('occupant', 'own-nick-ghost')
  const { occupant, change } = shown
  if (change.kind === 'changed' && isToldSo(room, occupant)) return
  switch (change.kind) {
    case 'present':
    case 'joined':
    case 'changed': {
      if (occupant.self) {
        room.toldSelf = digest(occupant)
        session.snapshots.markOutdated()
      } else {
        const look = digest(occupant)
        const isBack = isBackUnchanged(room, occupant.nick, look)
        // The list may be told again by a network that was asked to join twice.
        if (change.kind === 'present' && room.told.get(occupant.nick) === look) return
        remember(room, occupant)
        session.snapshots.markOutdated()
        if (isBack) return
      }
      const details =
        change.kind === 'changed' ? { actor: room.shown(change.actor ?? ''), reason: change.reason ?? '' } : {}
      return tellViews(session, room, node => available(room, node, occupant, details))
    }
    case 'left':
    case 'kicked':
    case 'banned': {
      // That the user is out is told by `room-left`.
      if (occupant.self) return
      room.told.delete(occupant.nick)
      session.snapshots.markOutdated()
      const isLeft = change.kind === 'left'
      const details = isLeft
        ? { status: change.reason ?? '' }
        : {
            codes: [change.kind === 'kicked' ? codes.kicked : codes.banned],
            actor: room.shown(change.actor ?? ''),
            reason: change.reason ?? '',
            affiliation: change.kind === 'banned' ? outcast : none,
          }
      return tellViews(session, room, node => unavailable(room, node, occupant.nick, details))
    }
    case 'renamed':
      if (occupant.self) {
        room.nick = change.to
        room.toldNick = change.to
        session.markChanged()
      } else {
        room.told.delete(occupant.nick)
        isBackUnchanged(room, change.to, '')
        remember(room, { ...occupant, nick: change.to })
        session.snapshots.markOutdated()
      }
      return tellRename(session, room, occupant, change.to)
  }
}

function followOwnNick(room: Room, occupant: Occupant, change: OccupantChange): void {
  if (occupant.self && change.kind === 'renamed') room.nick = change.to
}

/** Facts themselves are not carried; roles that waited for them are told. */
export function roomFactsChanged(session: Session, { type, room: id }: Of<'room-facts'>): void {
  const room = session.rooms.get(id)
  if (room?.state === 'joined') settleRoles(session, room)
  session.suppressed(type, 'not-carried')
}

export function subjectChanged(session: Session, { room: id, subject, nick, at }: Of<'room-subject'>): void {
  const room = session.rooms.get(id)
  if (room === undefined) return session.suppressed('room-subject', 'not-wanted')
  // While the list is not complete, the network's memory counts; what is known already needs no telling.
  if (room.state !== 'joined' || room.toldSubject === subject) return
  room.toldSubject = subject
  for (const { node, resources } of room.views) {
    const value = {
      from: room.address(node, room.shown(nick ?? '')),
      subject,
      id: session.nextKey(),
      ...(at === undefined ? {} : { delayedAtMs: at.getTime() }),
    }
    session.tell({ $case: 'subjectChanged', value }, resources)
  }
}
