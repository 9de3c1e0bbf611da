import { type OccupantPresence, Show } from '@spectrum/messages'
import type { Occupant } from '@spectrum/network'
import { available, codes } from './occupants.ts'
import type { Room } from './room.ts'
import type { Session } from './session.ts'

// What all of the user's resources in a room are told, each under its own spelling of the room's JID.

export function tellViews(session: Session, room: Room, presence: (node: string) => OccupantPresence): void {
  for (const { node, resources } of room.views)
    session.tell({ $case: 'occupantPresence', value: presence(node) }, resources)
}

/** XEP-0045 section 7.6: the old nick goes with 303, the new one comes. @param more - codes of the new one's presence */
export function tellRename(
  session: Session,
  room: Room,
  occupant: Occupant,
  to: string,
  more: readonly number[] = [],
): void {
  const own = occupant.self ? [codes.self] : []
  tellViews(session, room, node => ({
    ...available(room, node, occupant),
    show: Show.SHOW_OFFLINE,
    codes: [codes.newNick, ...own],
    newNick: to,
  }))
  tellViews(session, room, node => available(room, node, { ...occupant, nick: to }, { codes: [...own, ...more] }))
}
