import type { NetworkEvent, Presence } from '@spectrum/network'
import { tellFromGateway } from './messages.ts'
import type { Room } from './room.ts'
import { abandon } from './rooms.ts'
import type { Session } from './session.ts'

// `stay_connected`: the session goes on when the user's last client goes, and stays in its rooms. What is said there is kept
// (missed-lines.ts) for the next client that comes in. What is said to the user alone goes to the bare JID at once, whether a
// client is there or not: the user's server stores it (XEP-0160).

/** The user's own setting; without one the operator's default. */
export function staysConnected({ settings, context }: Session): boolean {
  const own = settings.stay_connected
  return own === undefined ? context.staysConnected : own === '1'
}

/** What the network shows of a user who stays connected and has no client. */
export const absent: Presence = { show: 'away' }

/**
 * A client left a room of which it was the last. When it goes for good, its server leaves the rooms for it, in any order with
 * the presence that says so: only who is still there some seconds later has left the room, and not gone.
 */
export function abandonUnlessGone(session: Session, room: Room, resource: string, reason: string): void {
  const timer = setTimeout(() => {
    if (room.leaving !== timer || session.isOver || session.rooms.get(room.id) !== room) return
    if (!room.isEmpty || !session.resources.has(resource)) return
    room.isKept = false
    session.suppressed('message', 'left-before', session.missed.forgetUnread(room.id))
    abandon(session, room, reason)
  }, session.context.limits.leaveMs).unref()
  room.leaving = timer
}

/** The user lost a room while no client was in it to see that: the gateway says so. */
export function lostWhileAbsent(
  session: Session,
  room: Room,
  why: Extract<NetworkEvent, { type: 'room-left' }>['why'],
): void {
  room.isKept = false
  if (why.kind === 'left') return
  const how = why.kind === 'banned' ? 'banned from' : why.kind === 'kicked' ? 'kicked from' : 'not let into'
  tellFromGateway(session, `You were ${how} ${room.name}${why.reason ? `: ${why.reason}` : '.'}`)
}
