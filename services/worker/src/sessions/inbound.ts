import { ChatState, type Event } from '@spectrum/messages'
import type { ChatState as NetworkChatState, NetworkEvent } from '@spectrum/network'
import { authorizationRequested, contactChanged, contactRemoved } from './contacts.ts'
import { bareJid } from './events.ts'
import { messageFailed, messageReceived, roomNotice, tellFromGateway } from './messages.ts'
import { occupantChanged, roomFactsChanged, roomJoined, roomLeft, roomReady, subjectChanged } from './room-events.ts'
import type { Session } from './session.ts'

type Handlers = {
  readonly [Type in NetworkEvent['type']]: (session: Session, event: Extract<NetworkEvent, { type: Type }>) => void
}

/** What becomes of each kind of event: one line each, the work is beside its topic. */
const handlers: Handlers = {
  message: messageReceived,
  'room-joined': roomJoined,
  'room-ready': roomReady,
  'room-left': roomLeft,
  'room-subject': subjectChanged,
  'room-facts': roomFactsChanged,
  'room-notice': (session, { room: id, text }) => {
    const room = session.rooms.get(id)
    if (room === undefined) return session.suppressed('room-notice', 'not-joined')
    if (room.state === 'joined') roomNotice(session, room, text)
    else room.held.push({ type: 'room-notice', room: id, text })
  },
  occupant: occupantChanged,
  notice: (session, { text }) => tellFromGateway(session, text),
  contact: (session, { contact }) => contactChanged(session, contact),
  'contact-removed': (session, { user }) => contactRemoved(session, user),
  'authorization-request': (session, { user, name, text }) => authorizationRequested(session, user, name, text),
  'chat-state': chatStateChanged,
  attention: (session, { chat, text = '' }) => {
    if (chat.kind !== 'contact') return session.suppressed('attention', 'not-carried')
    const from = session.contacts.address(chat.user)
    session.tell({ $case: 'attentionRequested', value: { from, text } }, bareJid)
  },
  'message-failed': messageFailed,
  receipt: (session, { key }) => {
    const expected = session.receipts.take(key)
    if (expected === undefined) return session.suppressed('receipt', 'unknown')
    const { from, stanzaId, resource } = expected
    session.tell({ $case: 'receiptReceived', value: { from, stanzaId } }, [resource])
  },
  // An invitation must reach the user even though it is told in words so far.
  'room-invitation': (session, { room, from, reason }) =>
    tellFromGateway(
      session,
      `${from ?? 'Somebody'} invites you to ${room}${reason === undefined ? '.' : `: ${reason}`}`,
    ),
  edit: notCarried,
  retraction: notCarried,
  reactions: notCarried,
  read: notCarried,
  'own-presence': notCarried,
  'raw-xml': notCarried,
}

/** Kinds that events.proto has no message for: counted. */
function notCarried(session: Session, { type }: NetworkEvent): void {
  session.suppressed(type, 'not-carried')
}

const states: Readonly<Record<NetworkChatState, ChatState>> = {
  active: ChatState.CHAT_STATE_ACTIVE,
  composing: ChatState.CHAT_STATE_COMPOSING,
  paused: ChatState.CHAT_STATE_PAUSED,
}

function chatStateChanged(
  session: Session,
  { chat, from, state }: Extract<NetworkEvent, { type: 'chat-state' }>,
): void {
  const tell = (value: Extract<Event['event'], { $case: 'chatStateChanged' }>['value'], to: readonly string[]) =>
    session.tell({ $case: 'chatStateChanged', value }, to)
  if (from.self) return session.suppressed('chat-state', 'own')
  if (chat.kind === 'contact')
    return tell({ from: session.contacts.address(chat.user), state: states[state], isGroupchat: false }, bareJid)
  const room = session.rooms.get(chat.room)
  if (room === undefined) return session.suppressed('chat-state', 'not-joined')
  const isGroupchat = chat.kind === 'room'
  const nick = isGroupchat ? (from.nick ?? '') : chat.nick
  for (const { node, resources } of room.views)
    tell({ from: room.address(node, nick), state: states[state], isGroupchat }, resources)
}

/** Tells XMPP what the network told. */
export function receive(session: Session, event: NetworkEvent): void {
  const handle = handlers[event.type] as (session: Session, event: NetworkEvent) => void
  handle(session, event)
}
