import type { Occupant } from '@spectrum/network'
import { available, digest } from './occupants.ts'
import { shownOccupants } from './own-nick.ts'
import type { Room } from './room.ts'
import type { Session } from './session.ts'
import { tellViews } from './views.ts'

// Whether somebody without a rank may speak depends on the room's facts, which some networks tell only after its occupants. When
// the user comes back to a room that clients know, they are not told of roles that may be taken back a moment later.

/** Facts that take longer than that are not waited for. */
const waitMs = 60_000

/** The look of the same occupant in a room that is moderated, when this one is from one that is not, and the other way round. */
export function otherLook(look: string): string {
  const [affiliation = '', role = '', ...away] = look.split(' ')
  const other = { participant: 'visitor', visitor: 'participant' }[role] ?? role
  return [affiliation, other, ...away].join(' ')
}

/** From now on differences of roles wait for the room's facts. */
export function awaitFacts(session: Session, room: Room): void {
  clearTimeout(room.factsTimer)
  room.factsTimer = setTimeout(() => {
    room.factsTimer = undefined
    if (room.state === 'joined') tellLooks(session, room)
  }, waitMs).unref()
}

/** The facts are there, or somebody needs to see the room as it is: what differs from what clients know is told. */
export function settleRoles(session: Session, room: Room): void {
  if (room.factsTimer === undefined) return
  clearTimeout(room.factsTimer)
  room.factsTimer = undefined
  tellLooks(session, room)
}

/** While roles are provisional: whether clients know the occupant like that. */
export function isToldSo(room: Room, occupant: Occupant): boolean {
  const told = occupant.self ? room.toldSelf : room.told.get(occupant.nick)
  return room.factsTimer !== undefined && told === digest(occupant)
}

function tellLooks(session: Session, room: Room): void {
  for (const occupant of shownOccupants(session, room)) {
    const look = digest(occupant)
    if (look === (occupant.self ? room.toldSelf : room.told.get(occupant.nick))) continue
    if (occupant.self) room.toldSelf = look
    else room.told.set(occupant.nick, look)
    tellViews(session, room, node => available(room, node, occupant))
    session.snapshots.markOutdated()
  }
}
