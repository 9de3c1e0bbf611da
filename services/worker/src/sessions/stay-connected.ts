import type { Presence } from '@spectrum/network'
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

/** The same when a client is in a room that has not signed in otherwise. */
export const present: Presence = { show: 'online' }
