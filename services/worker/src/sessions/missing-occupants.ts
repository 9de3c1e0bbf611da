import { fingerprint, unavailable } from './occupants.ts'
import type { Room } from './room.ts'
import type { Session } from './session.ts'
import { tellViews } from './views.ts'

// When the user comes back to a room, others may be on their way back too: who sat on the same worker, or on the same side of a
// split network. Clients are not told that these have left until it is clear that they do not come.

/** While logins of this process wait for their turn it may take this much longer than `limits.missingMs`, but no more. */
const longestMs = 300_000

/**
 * These occupants, whom clients know, are not there; they go on counting as told. Of those who are known by a hash alone nobody can
 * say later that they have left, only that they are back.
 */
export function awaitReturn(session: Session, room: Room, nicks: Iterable<string>, hashes: Iterable<number>): void {
  room.missing = new Set(nicks)
  room.missingHashes = new Set(hashes)
  clearTimeout(room.missingTimer)
  room.missingTimer = undefined
  if (room.missing.size + room.missingHashes.size > 0)
    lookLater(session, room, session.context.clock.monotonic() + longestMs)
}

/** The occupant is there (again); whether it had been missing, and clients know it exactly so. */
export function isBackUnchanged(room: Room, nick: string, look: string): boolean {
  const isHashed = room.missingHashes.delete(fingerprint(nick, look))
  return (room.missing.delete(nick) && room.told.get(nick) === look) || isHashed
}

/** Who has not come back has left: now, because somebody needs to see the room as it is, or because it took too long. */
export function tellMissingGone(session: Session, room: Room): void {
  clearTimeout(room.missingTimer)
  room.missingTimer = undefined
  const gone = room.missing
  room.missing = new Set()
  room.missingHashes = new Set()
  for (const nick of gone) {
    room.told.delete(nick)
    tellViews(session, room, node => unavailable(room, node, nick))
  }
  if (gone.size > 0) session.snapshots.markOutdated()
}

function lookLater(session: Session, room: Room, deadline: number): void {
  const { logins, clock, limits } = session.context
  room.missingTimer = setTimeout(() => {
    // Disconnected again: the next return looks anew.
    if (room.state !== 'joined') return
    if (logins.waiting > 0 && clock.monotonic() < deadline) lookLater(session, room, deadline)
    else tellMissingGone(session, room)
  }, limits.missingMs).unref()
}
