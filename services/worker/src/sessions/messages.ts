import {
  type Address,
  ChatState,
  type Command,
  MessageReceived,
  MessageReceived_Kind,
  type SendMessage,
  SendMessage_Kind,
  type Attachment as SentAttachment,
} from '@spectrum/messages'
import {
  type Attachment,
  type Chat,
  type ChatState as NetworkChatState,
  NetworkError,
  type NetworkEvent,
  type OutgoingMessage,
  type ReceivedMessage,
  type SentMessage,
} from '@spectrum/network'
import { messageFailure } from './answers.ts'
import { bareJid } from './events.ts'
import { finds, keepUnread, tellLine } from './missed-lines.ts'
import { reveal } from './own-nick.ts'
import type { Room } from './room.ts'
import { addressOf, notJoined } from './rooms.ts'
import type { Session } from './session.ts'

const actionPrefix = '/me '

/** Outbound: to a room, to an occupant in private, or to a contact. @throws NetworkError */
export function sendMessage(session: Session, command: Command, value: SendMessage): void | Promise<void> {
  const to = addressOf(value.to)
  if (to.name === '') throw new NetworkError('not-supported', 'The gateway itself takes no messages.')
  if (value.kind === SendMessage_Kind.KIND_GROUPCHAT) return sendToRoom(session, command, value, to)
  if (to.resource === '') {
    // Section 7.4: a message to everybody is of type groupchat.
    if (session.rooms.at(to.node) !== undefined)
      throw new NetworkError('bad-request', 'A message to a room is of type groupchat.')
  } else if (session.rooms.size > 0) {
    const room = findRoom(session, to)
    if (room !== undefined) return sendToOccupant(session, command, value, to, room)
  }
  const user = session.context.connector.parseUser(to.name)
  session.contacts.addressed(user, to.node)
  return sendToChat(session, command, value, { kind: 'contact', user })
}

function sendToRoom(session: Session, command: Command, value: SendMessage, to: Address): void | Promise<void> {
  const room = session.rooms.find(to)
  if (room === undefined || !room.concerns(command.resource)) throw notJoined()
  finds(session, room, command.resource)
  if (to.resource !== '') throw new NetworkError('bad-request', 'A message to all is sent to the room itself.')
  if (value.body === '') return sendChatState(session, { kind: 'room', room: room.id }, value.chatState)
  const isReady = session.connection.isOnline && room.state === 'joined'
  if (isReady) return reflected(session, command, value, room)
  return session.whenReady(room).then(() => reflected(session, command, value, room))
}

/** Hands the line over and reflects it to everybody of the user in the room (XEP-0045 section 7.4). */
function reflected(session: Session, command: Command, value: SendMessage, room: Room): void | Promise<void> {
  if (room.viewOf(command.resource) === undefined) throw notJoined()
  session.sent.remember(command, value)
  const sent = session.connection.send(outgoing(command, value, { kind: 'room', room: room.id }))
  if (!(sent instanceof Promise)) return reflect(session, command, value, room, sent)
  return sent.then(result => reflect(session, command, value, room, result))
}

function reflect(session: Session, command: Command, value: SendMessage, room: Room, sent: SentMessage): void {
  for (const view of room.views) {
    const message: MessageReceived = {
      from: room.address(view.node, room.shownNick),
      kind: MessageReceived_Kind.KIND_GROUPCHAT,
      body: sent.text === undefined ? value.body : restored(value.body, sent.text),
      xhtml: sent.text === undefined ? value.xhtml : '',
      id: command.stanzaId,
      networkId: sent.id ?? '',
      attachments: [],
      isCarbon: false,
      isPrivate: false,
      originId: value.originId,
    }
    tellLine(session, room, view, message, command.traceparent)
  }
}

/** XEP-0045 section 7.5. */
function sendToOccupant(
  session: Session,
  command: Command,
  value: SendMessage,
  to: Address,
  room: Room,
): void | Promise<void> {
  if (!room.concerns(command.resource)) throw notJoined()
  const chat: Chat = { kind: 'occupant', room: room.id, nick: to.resource }
  if (session.connection.isOnline && room.state === 'joined') return sendToChat(session, command, value, chat)
  return session.whenReady(room).then(() => sendToChat(session, command, value, chat))
}

function sendToChat(session: Session, command: Command, value: SendMessage, chat: Chat): void | Promise<void> {
  if (value.body === '') return sendChatState(session, chat, value.chatState)
  if (value.wantsReceipt) session.receipts.expect(command, addressOf(value.to))
  const send = () => {
    session.sent.remember(command, value)
    const sent = session.connection.send(outgoing(command, value, chat))
    if (sent instanceof Promise) return sent.then(ignoreResult)
    return undefined
  }
  return session.connection.isOnline ? send() : session.whenReady().then(send)
}

// A private message is not reflected: what the network made of it nobody needs to know.
function ignoreResult(_: SentMessage): void {}

function outgoing(command: Command, { body, xhtml }: SendMessage, chat: Chat): OutgoingMessage {
  if (body.startsWith(actionPrefix) && body.length > actionPrefix.length)
    return { key: command.key, chat, text: body.slice(actionPrefix.length), action: true }
  return xhtml === '' ? { key: command.key, chat, text: body } : { key: command.key, chat, text: body, xhtml }
}

const restored = (body: string, text: string): string => (body.startsWith(actionPrefix) ? actionPrefix + text : text)

const networkStates: Readonly<Record<ChatState, NetworkChatState | undefined>> = {
  [ChatState.CHAT_STATE_UNSPECIFIED]: undefined,
  [ChatState.CHAT_STATE_ACTIVE]: 'active',
  [ChatState.CHAT_STATE_COMPOSING]: 'composing',
  [ChatState.CHAT_STATE_PAUSED]: 'paused',
}

/** May be lost: sent only where the network shows it and the user is online. */
function sendChatState(session: Session, chat: Chat, state: ChatState): void {
  const wanted = networkStates[state]
  const chatStates = session.connection.isOnline ? session.connection.network?.featuresOf(chat).chatStates : undefined
  if (wanted === undefined || chatStates === undefined) return session.suppressed('sendMessage', 'nothing-to-send')
  session.attempt('chat state', () => chatStates.send(chat, wanted))
}

/** Only a name that can be a room's is looked for among the rooms. */
function findRoom(session: Session, to: Address): Room | undefined {
  try {
    return session.rooms.find(to)
  } catch (error) {
    if (error instanceof NetworkError && error.code === 'bad-address') return undefined
    throw error
  }
}

/** Inbound: what somebody said, or the user from elsewhere. */
export function messageReceived(session: Session, event: ReceivedMessage): void {
  const { chat, from } = event
  if (from.self && event.key !== undefined) return session.suppressed('message', 'echo')
  const networkKey = event.id === undefined ? undefined : `${session.user}/${event.id}`
  if (chat.kind === 'contact') {
    session.lastLines.privateTold(event)
    const value = received(session, event, session.contacts.address(chat.user), MessageReceived_Kind.KIND_UNSPECIFIED)
    return session.tell({ $case: 'messageReceived', value }, bareJid, '', networkKey)
  }
  const room = session.rooms.get(chat.room)
  if (room === undefined) return session.suppressed('message', 'not-joined')
  if (room.state !== 'joined') return hold(session, room, event)
  const isPrivate = chat.kind === 'occupant'
  // A ghost says nothing now: somebody else has the nick.
  const isGhosts = room.hasGhost && !isPrivate && !from.self && from.nick === room.toldNick
  if (isGhosts && event.at === undefined) reveal(session, room)
  const nick = isPrivate ? chat.nick : room.shown(from.nick ?? (from.self ? room.nick : ''))
  const kind = isPrivate ? MessageReceived_Kind.KIND_UNSPECIFIED : MessageReceived_Kind.KIND_GROUPCHAT
  if (isPrivate) session.lastLines.privateTold(event)
  else session.lastLines.told(room, event)
  if (room.views.length === 0) {
    const value = received(session, event, room.address(room.node, nick), kind)
    value.isPrivate = isPrivate
    if (isPrivate) return session.tell({ $case: 'messageReceived', value }, bareJid, '', networkKey)
    return keepUnread(session, room, value)
  }
  let key = networkKey
  for (const view of room.views) {
    const value = received(session, event, room.address(view.node, nick), kind)
    value.isPrivate = isPrivate
    if (isPrivate) session.tell({ $case: 'messageReceived', value }, view.resources, '', key)
    else tellLine(session, room, view, value, '', key)
    // Each event has a key of its own; only one of the same message may have the network's.
    key = undefined
  }
}

/** Most lines that are kept for a room whose occupants are still coming. */
const maxHeld = 1_000

function hold(session: Session, room: Room, event: ReceivedMessage): void {
  if (room.held.length < maxHeld) room.held.push(event)
  else session.suppressed('message', 'room-not-ready')
}

function received(
  session: Session,
  event: ReceivedMessage,
  from: Address,
  kind: MessageReceived_Kind,
): MessageReceived {
  const { text, xhtml, id, at, action, attachments, from: sender } = event
  const isHeadline = event.kind === 'headline' && session.settings.send_headlines === '1'
  const value: MessageReceived = {
    from,
    kind: isHeadline && kind !== MessageReceived_Kind.KIND_GROUPCHAT ? MessageReceived_Kind.KIND_HEADLINE : kind,
    body: action ? actionPrefix + text : text,
    xhtml: xhtml ?? '',
    id: '',
    networkId: id ?? '',
    attachments: attachments?.map(toAttachment) ?? [],
    isCarbon: sender.self === true && kind !== MessageReceived_Kind.KIND_GROUPCHAT,
    isPrivate: false,
    originId: '',
  }
  if (at !== undefined) value.delayedAtMs = at.getTime()
  return value
}

const toAttachment = ({ url, mimeType = '', name = '', description = '' }: Attachment): SentAttachment => ({
  url,
  mimeType,
  name,
  description,
})

/** Inbound: the network refused what it had taken. Of a message that nobody remembers, the words are told. */
export function messageFailed(session: Session, event: Extract<NetworkEvent, { type: 'message-failed' }>): void {
  const { chat, key, code, text } = event
  const sent = session.sent.find(key)
  session.receipts.take(key)
  session.context.metrics.countCommand('sendMessage', code)
  if (sent !== undefined) return session.tell(messageFailure(sent, { code, text }), [sent.resource])
  const room = chat.kind === 'contact' ? undefined : session.rooms.get(chat.room)
  if (room?.state === 'joined') roomNotice(session, room, text)
  else tellFromGateway(session, text)
}

/** A line to the user from the gateway's own JID. */
export function tellFromGateway(session: Session, text: string): void {
  const value = MessageReceived.create({ from: { name: '', node: '', resource: '' }, body: text })
  session.tell({ $case: 'messageReceived', value }, bareJid)
}

/** A line about the room from nobody in it. */
export function roomNotice(session: Session, room: Room, text: string): void {
  const kind = MessageReceived_Kind.KIND_GROUPCHAT
  if (room.views.length === 0)
    keepUnread(session, room, MessageReceived.create({ from: room.address(room.node), kind, body: text }))
  for (const { node, resources } of room.views) {
    const value = MessageReceived.create({ from: room.address(node), kind, body: text })
    session.tell({ $case: 'messageReceived', value }, resources)
  }
}
