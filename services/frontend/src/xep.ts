import type { Event } from '@spectrum/messages'
import type { NetworkManifest } from '@spectrum/network'
import type { Element, UnaddressedStanza } from '@spectrum/xmpp'
import type { Gateway } from './gateway.ts'
import type { OutboundStanza } from './outbound-stanza.ts'
import type { RenderContext } from './rendering.ts'

/** An IQ that a feature answers. */
export interface IqHandler {
  readonly type: 'get' | 'set'
  /** Name and namespace of the IQ's only child. */
  readonly name: string
  readonly xmlns: string
  /** A NetworkError that is thrown becomes the error. */
  answer(stanza: OutboundStanza, payload: Element, gateway: Gateway): Promise<IqAnswer> | IqAnswer
}

/** The payload of the result, `undefined` for an empty one; `by-event` when a worker is asked and its event answers. */
export type IqAnswer = Element | undefined | 'by-event'

/** Takes a presence or message if it is for this feature; true when it did. The first that does ends the search. */
export type StanzaHandler = (stanza: OutboundStanza, gateway: Gateway) => boolean

type EventBody = NonNullable<Event['event']>
export type EventCase = EventBody['$case']
export type EventValue<Case extends EventCase> = Extract<EventBody, { $case: Case }>['value']

/** Stanzas that tell an event, for each of its recipients; none when the event cannot be told (which it has counted). */
export type Renderer<Case extends EventCase> = (
  value: EventValue<Case>,
  context: RenderContext,
) => readonly UnaddressedStanza[]

/** What kind of JID is asked for its features. */
export type EntityKind = 'gateway' | 'room' | 'contact'

/** One extension of XMPP: both directions, and what service discovery says of it. */
export interface Xep {
  /** 0 for what the RFCs themselves have. */
  readonly number: number
  readonly version: string
  readonly status: 'complete' | 'partial'
  /** Features in service discovery. */
  announce?(kind: EntityKind, manifest: NetworkManifest | undefined): readonly string[]
  readonly iqs?: readonly IqHandler[]
  readonly presence?: StanzaHandler
  readonly message?: StanzaHandler
  readonly inbound?: { readonly [Case in EventCase]?: Renderer<Case> }
}

/** Declares a feature; the identity function that keeps the types together. */
export function defineXep(xep: Xep): Xep {
  return xep
}
