import type { FailureCode } from './failures.ts'
import type { Chat, MessageId, RoomId, UserId } from './ids.ts'
import type { Occupant, OccupantChange, RoomFacts } from './rooms.ts'

/** What the user says. */
export interface OutgoingMessage {
  /** Stable across redeliveries: pass it on where the network can deduplicate. */
  readonly key: string
  readonly chat: Chat
  /** Plain text; may have several lines. Never empty. */
  readonly text: string
  /** The same as XHTML-IM body content (XEP-0071), when the user's client sent it. */
  readonly xhtml?: string
  readonly replyTo?: MessageId
  readonly mentions?: readonly UserId[]
  /** `/me` style: `text` is the action without the prefix. */
  readonly action?: boolean
}

/** What became of an outgoing message once the network took it. */
export interface SentMessage {
  /** The network's id, absent where it gives none. */
  readonly id?: MessageId
  /** The text as others see it, when the network changed it (truncated, reformatted). */
  readonly text?: string
}

/** A file the user sends: a link the network may fetch through {@link Host.connect}, or pass on as it is. */
export interface OutgoingFile {
  readonly key: string
  readonly chat: Chat
  readonly url: URL
  readonly name: string
  readonly mimeType: string
  readonly bytes?: number
  readonly caption?: string
}

/** A file that came with a message: where it can be fetched. */
export interface Attachment {
  readonly url: string
  readonly mimeType?: string
  readonly name?: string
  readonly bytes?: number
  readonly description?: string
}

/** `self` is the user acting from another device: it becomes a carbon or a reflection, not a reply. */
export type Sender = { readonly self: true } | { readonly self?: false; readonly user: UserId }

export type Show = 'online' | 'chat' | 'away' | 'xa' | 'dnd' | 'offline' | 'invisible'

export interface Presence {
  readonly show: Show
  readonly status?: string
  /** Nothing was touched there since (XEP-0319). */
  readonly idleSince?: Date
}

/** A person on the user's list there. Absent fields keep what is known; an empty `groups` clears. */
export interface Contact {
  readonly user: UserId
  readonly name?: string
  readonly groups?: readonly string[]
  readonly presence?: Presence
  /** SHA-1 of the picture in hex; fetched with the vCard. */
  readonly avatarHash?: string
  readonly blocked?: boolean
  /** `pending`: the other side has not agreed yet. Default `both`. */
  readonly subscription?: 'both' | 'pending'
}

export interface VCard {
  readonly fullName?: string
  readonly nickname?: string
  readonly email?: string
  readonly url?: string
  readonly description?: string
  readonly photo?: { readonly mimeType: string; readonly bytes: Uint8Array }
}

export type ChatState = 'active' | 'composing' | 'paused'

/** A page of history, oldest first. `before` fetches the next older one; absent at the beginning of time. */
export interface Page {
  readonly messages: readonly ReceivedMessage[]
  readonly before?: MessageId
}

/** What is common to every message that the network delivers. */
export interface ReceivedMessage {
  readonly type: 'message'
  readonly chat: Chat
  /** In rooms also the nick that said it, which need not be an occupant any more. */
  readonly from: Sender & { readonly nick?: string }
  /** The network's id; left out where there is none, and the host makes one. */
  readonly id?: MessageId
  /** When it was said, when that is not now (history, offline messages): shown with XEP-0203. */
  readonly at?: Date
  /** When it was said by the network's clock, where it tells: for {@link JoinRequest.history}, not shown. */
  readonly saidAt?: Date
  readonly text: string
  readonly xhtml?: string
  readonly action?: boolean
  /** A notice that expects no answer (IRC NOTICE); `headline` is news or advertising (Spectrum 2's headline). */
  readonly kind?: 'normal' | 'notice' | 'headline'
  readonly attachments?: readonly Attachment[]
  readonly replyTo?: MessageId
  /** The key of the user's own message that this echoes, when the network told (labeled-response). */
  readonly key?: string
}

/** Everything a network may tell. A new kind of event is one new arm here and one message in proto/spectrum/v1/events.proto. */
export type NetworkEvent =
  | ReceivedMessage
  | {
      readonly type: 'edit'
      readonly chat: Chat
      readonly from: Sender & { readonly nick?: string }
      readonly target: MessageId
      readonly text: string
      readonly at?: Date
    }
  | {
      readonly type: 'retraction'
      readonly chat: Chat
      readonly from: Sender & { readonly nick?: string }
      readonly target: MessageId
      readonly reason?: string
    }
  | {
      readonly type: 'reactions'
      readonly chat: Chat
      readonly from: Sender & { readonly nick?: string }
      readonly target: MessageId
      readonly emoji: readonly string[]
    }
  | {
      readonly type: 'chat-state'
      readonly chat: Chat
      readonly from: Sender & { readonly nick?: string }
      readonly state: ChatState
    }
  /** The other side has it (XEP-0184); `key` is that of the OutgoingMessage. */
  | { readonly type: 'receipt'; readonly chat: Chat; readonly key: string }
  /**
   * The network refused a message that it had taken: its sender gets an error. `key` is that of the OutgoingMessage, `text`
   * the network's words.
   */
  | {
      readonly type: 'message-failed'
      readonly chat: Chat
      readonly key: string
      readonly code: FailureCode
      readonly text: string
    }
  /** Read up to and including `upTo` (XEP-0333; by the user elsewhere: XEP-0490). */
  | {
      readonly type: 'read'
      readonly chat: Chat
      readonly from: Sender & { readonly nick?: string }
      readonly upTo: MessageId
    }
  | { readonly type: 'attention'; readonly chat: Chat; readonly from: Sender; readonly text?: string }
  /** A contact appeared or changed: name, groups, presence, picture, blocked. */
  | { readonly type: 'contact'; readonly contact: Contact }
  | { readonly type: 'contact-removed'; readonly user: UserId }
  /** Somebody asks to see the user's presence; answered with {@link Authorization}. */
  | { readonly type: 'authorization-request'; readonly user: UserId; readonly name?: string; readonly text?: string }
  /** The user's own presence was changed elsewhere. */
  | { readonly type: 'own-presence'; readonly presence: Presence }
  /** The user is in the room from now on. Sent before any occupant. `nick` is the user's own. */
  | {
      readonly type: 'room-joined'
      readonly room: RoomId
      readonly nick: string
      /** Absent while they are not known: then `room-facts` tells them, after the occupants whose role they change. */
      readonly facts?: RoomFacts
      /** When, by the network's clock, where it tells. */
      readonly at?: Date
    }
  /** The first list of occupants is complete: self-presence and subject may be shown now. */
  | { readonly type: 'room-ready'; readonly room: RoomId }
  /** A join failed (after {@link Rooms.join} had been accepted) or the user is out of the room. `why` tells which and by whom. */
  | { readonly type: 'room-left'; readonly room: RoomId; readonly why: RoomLeft }
  | { readonly type: 'occupant'; readonly room: RoomId; readonly occupant: Occupant; readonly change: OccupantChange }
  | {
      readonly type: 'room-subject'
      readonly room: RoomId
      readonly subject: string
      readonly nick?: string
      readonly at?: Date
    }
  | { readonly type: 'room-facts'; readonly room: RoomId; readonly facts: RoomFacts }
  | {
      readonly type: 'room-invitation'
      readonly room: RoomId
      readonly from?: string
      readonly reason?: string
      readonly password?: string
    }
  /** A line about the room from the server, nobody's message (IRC numerics, mode changes). */
  | { readonly type: 'room-notice'; readonly room: RoomId; readonly text: string }
  /** A line from the network's server to the user: MOTD, service notices, prompts. Shown as chat with the gateway. */
  | { readonly type: 'notice'; readonly text: string }
  /** Stanza passthrough, for networks that declare `rawXml`. */
  | { readonly type: 'raw-xml'; readonly xml: string }

export type RoomLeft =
  /** The user's own wish, or the session's end. */
  | { readonly kind: 'left'; readonly reason?: string }
  | { readonly kind: 'kicked' | 'banned'; readonly actor?: string; readonly reason?: string }
  /** The join was refused; `code` is the error presence's. */
  | { readonly kind: 'refused'; readonly code: FailureCode; readonly reason?: string }
  /** The connection to the network broke; the host joins again when it is back. */
  | { readonly kind: 'disconnected'; readonly reason?: string }
