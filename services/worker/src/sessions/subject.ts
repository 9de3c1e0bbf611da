import type { Room } from './room.ts'
import type { Session } from './session.ts'

/** The subject as it is now; an empty one too (XEP-0045 section 7.2.15). */
export function tellSubject(session: Session, room: Room, node: string, resources: readonly string[]): void {
  const subject = session.connection.rooms?.subject(room.id)
  const value = {
    from: room.address(node, room.shown(subject?.nick ?? '')),
    subject: subject?.text ?? '',
    id: session.nextKey(),
    ...(subject?.at === undefined ? {} : { delayedAtMs: subject.at.getTime() }),
  }
  session.tell({ $case: 'subjectChanged', value }, resources)
}
