import { type Command, type ProbePresence, type SetPresence, Show } from '@spectrum/messages'
import { assertResourceFits, bounds, cutText } from './bounds.ts'
import { tellContact, tellContacts } from './contacts.ts'
import { sendMessage } from './messages.ts'
import { messagesReturned, returnsComplete } from './missed-lines.ts'
import { available, unavailable } from './occupants.ts'
import { shownOccupants } from './own-nick.ts'
import { verifyResources } from './resource-checks.ts'
import { addressOf, enter, joinRoom, leaveRoom, selfPing, setSubject, takeOut } from './rooms.ts'
import type { Session } from './session.ts'

type Body = NonNullable<Command['command']>
export type CommandKind = Body['$case']
type Handler<Kind extends CommandKind> = (
  session: Session,
  command: Command,
  value: Extract<Body, { $case: Kind }>['value'],
) => void | Promise<void>

/** What each command does to its session. Returning nothing means done; thrown NetworkErrors become the stanza's error. */
export const handlers: { readonly [Kind in CommandKind]: Handler<Kind> } = {
  // The session is there: nothing else was wanted. A newer generation is adopted by the backend.
  startSession: () => undefined,
  stopSession: (session, _, { reason, text }) => session.stop(reason, text),
  setPresence,
  joinRoom,
  leaveRoom,
  sendMessage,
  setSubject,
  probePresence,
  selfPing,
  componentConnected,
  // Handled by the backend: the session hears nothing of it.
  moveSession: session => session.suppressed('moveSession', 'not-for-sessions'),
  messagesReturned: (session, _, value) => messagesReturned(session, value),
  returnsComplete,
}

/** Kinds that must not take effect twice when an item is delivered again. */
export const actsOnce: ReadonlySet<CommandKind> = new Set(['sendMessage', 'setSubject'])

/**
 * After a new stream every resource is verified by a frontend, which reports those that are gone. Whoever is still there knows
 * everything: nothing is told again.
 */
function componentConnected(session: Session): void {
  session.doubt()
  verifyResources(session)
}

function setPresence(
  session: Session,
  command: Command,
  { show, status: given, priority }: SetPresence,
): void | Promise<void> {
  const { resource } = command
  const status = cutText(given, bounds.statusBytes)
  if (status !== given) session.suppressed('setPresence', 'status-cut')
  if (show === Show.SHOW_OFFLINE) {
    if (session.resources.remove(resource)) session.markChanged()
    for (const room of [...session.rooms]) takeOut(session, room, resource, status)
    session.presenceChanged()
    return session.endIfDeserted()
  }
  const isKnown = session.resources.has(resource)
  if (!isKnown) assertResourceFits(session)
  // A client that came back under its name after the XMPP server lost it knows nothing any more.
  const isNew = session.resources.startsAnew(resource) || !isKnown
  if (session.resources.set(resource, { show, status, priority })) session.markChanged()
  session.presenceChanged()
  if (isNew) tellContacts(session, resource)
  return undefined
}

/** Answers with what is known now, to the resource that asked. */
function probePresence(session: Session, { resource, stanzaId }: Command, { of }: ProbePresence): void {
  const to = [resource]
  const address = addressOf(of)
  if (address.name === '') return session.tellGateway(to)
  const room = isPossibleRoom(session, address.name) ? session.rooms.find(address) : undefined
  const view = room?.viewOf(resource)
  if (room === undefined || view === undefined)
    return tellContact(session, session.context.connector.parseUser(address.name), to)
  if (address.resource === '')
    return enter(session, room, { resource, node: view.node, nick: room.shownNick, stanzaId })
  for (const occupant of shownOccupants(session, room))
    if (occupant.nick === address.resource)
      return session.tell({ $case: 'occupantPresence', value: available(room, view.node, occupant) }, to)
  session.tell({ $case: 'occupantPresence', value: unavailable(room, view.node, address.resource) }, to)
}

function isPossibleRoom(session: Session, name: string): boolean {
  if (session.rooms.size === 0) return false
  try {
    session.context.connector.parseRoom(name)
    return true
  } catch {
    // Names of people need not be possible names of rooms.
    return false
  }
}
