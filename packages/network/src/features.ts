import type { Form, FormValues } from './forms.ts'
import type { Chat, MessageId, UserId } from './ids.ts'
import type { ChatState, Contact, OutgoingFile, Page, Presence, SentMessage, VCard } from './messages.ts'
import type { Rooms } from './rooms.ts'

export type Format = 'bold' | 'italic' | 'underline' | 'strike' | 'code' | 'quote' | 'link' | 'mention' | 'colour'

/**
 * What one chat can do. A feature is present exactly when its handler is present, so nothing can be announced to XMPP
 * clients that nobody implements.
 */
export interface ChatFeatures {
  /** Differs whenever the answer differs; clients are then told again (XEP-0115). */
  readonly revision: string
  readonly text: { readonly maxBytes?: number; readonly isMultiline: boolean; readonly formatting: readonly Format[] }
  readonly files?: {
    readonly maxBytes: number
    readonly mimeTypes: readonly string[]
    send(file: OutgoingFile): Promise<SentMessage>
  }
  /** XEP-0308. `windowSeconds` absent = for ever. */
  readonly edits?: {
    readonly windowSeconds?: number
    send(chat: Chat, target: MessageId, text: string): Promise<SentMessage>
  }
  /** XEP-0424; of others: XEP-0425. */
  readonly retractions?: {
    readonly windowSeconds?: number
    send(chat: Chat, target: MessageId, reason?: string): Promise<void>
  }
  /** XEP-0444. Sets the whole set; an empty one takes all back. */
  readonly reactions?: {
    readonly maxPerUser?: number
    readonly allowed?: readonly string[]
    set(chat: Chat, target: MessageId, emoji: readonly string[]): Promise<void>
  }
  /** XEP-0461. The network shows which message is answered. */
  readonly replies?: Record<string, never>
  /** XEP-0184. Events of type `receipt` will come. */
  readonly receipts?: Record<string, never>
  /** XEP-0333 and 0490. `everyMessage`: the network wants a marker for each message, not for the last one. */
  readonly readMarkers?: { readonly everyMessage: boolean; send(chat: Chat, upTo: MessageId): Promise<void> }
  /** XEP-0085. May be lost; never retried. */
  readonly chatStates?: { send(chat: Chat, state: ChatState): Promise<void> | void }
  /** XEP-0224. */
  readonly attention?: { send(chat: Chat, text?: string): Promise<void> }
  /** XEP-0313: what the network itself remembers, newest page first. */
  readonly history?: {
    fetch(
      chat: Chat,
      query: { readonly before?: MessageId; readonly after?: MessageId; readonly since?: Date; readonly max: number },
    ): Promise<Page>
  }
}

/** What a login can do outside any chat. Present exactly when the handler is. */
export interface SessionFeatures {
  readonly rooms?: Rooms
  /** The user's presence as the network shall show it; the host calls it with the aggregate of all resources. */
  readonly presence?: { send(presence: Presence): Promise<void> | void }
  /** The list of people kept on the network. */
  readonly contacts?: {
    add(contact: Contact): Promise<void>
    /** Name or groups changed. */
    update(contact: Contact): Promise<void>
    remove(user: UserId): Promise<void>
  }
  /** Answers to `authorization-request`. */
  readonly authorization?: { grant(user: UserId): Promise<void>; deny(user: UserId): Promise<void> }
  /** XEP-0191. */
  readonly blocking?: { block(user: UserId): Promise<void>; unblock(user: UserId): Promise<void> }
  /** XEP-0054, 0292, 0084. `undefined`: there is none. */
  readonly vcards?: { fetch(who: Chat): Promise<VCard | undefined> }
  /** The user changed their own vCard or picture. */
  readonly ownVcard?: { publish(vcard: VCard): Promise<void> }
  /** XEP-0055. */
  readonly search?: { readonly form: Form; find(values: FormValues): Promise<readonly Contact[]> }
  /** Translates what the user typed into a contact's id (`jabber:iq:gateway`, XEP-0100 section 6). */
  readonly prompt?: { readonly text: string; readonly label: string; resolve(input: string): Promise<UserId> }
  /** XEP-0050 and chat with the gateway. One that needs something missing is left out. */
  readonly commands?: readonly UserCommand[]
  /** Raw XML passthrough, the one declared exception to "networks know no XMPP" (Spectrum 2's features.rawxml). */
  readonly rawXml?: { send(xml: string): Promise<void> | void }
  /** Further logins of the same user in this session (several IRC servers), shown as roster items of the gateway. */
  readonly connections?: { list(): readonly { readonly name: string; readonly isOnline: boolean }[] }
}

/** A command the user may run. Declared once: shown as an ad-hoc command, as chat with the gateway, and in the docs. */
export interface UserCommand {
  /** The word in chat and the node of the ad-hoc command: lower case, no spaces. */
  readonly name: string
  readonly label: string
  readonly description: string
  readonly form?: Form
  /** Where it makes sense: `room` commands are offered on rooms and given the chat. */
  readonly scope: 'session' | 'room' | 'contact'
  run(values: FormValues, chat?: Chat): Promise<string>
}

/** The data half of a feature set: this, and only this, crosses the bus. */
export type Manifest<F> = {
  readonly [K in keyof F]: F[K] extends object | undefined
    ? DataOnly<NonNullable<F[K]>> | Extract<F[K], undefined>
    : F[K]
}
type DataOnly<T> = T extends readonly (infer U)[]
  ? readonly DataOnly<U>[]
  : T extends object
    ? { readonly [K in keyof T as T[K] extends (...args: never[]) => unknown ? never : K]: T[K] }
    : T

/** Drops the handlers and keeps the data: what a frontend may know of a feature set. */
export function manifestOf<F extends object>(features: F): Manifest<F> {
  return JSON.parse(JSON.stringify(features)) as Manifest<F>
}
