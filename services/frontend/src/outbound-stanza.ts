import type { Address } from '@spectrum/messages'
import type { Element } from '@spectrum/xmpp'

/** Characters of an id: it comes back in answers, reflections and receipts, escaped to up to six times its length. */
export const maxIdLength = 1_023

/** A stanza of a user, with its addresses read. */
export interface OutboundStanza {
  readonly element: Element
  readonly name: 'message' | 'presence' | 'iq'
  /** Empty when the stanza has none. */
  readonly type: string
  /** Empty when the stanza has none, or one that is too long to be handed back. */
  readonly id: string
  /** JID of the sender as it stands. */
  readonly from: string
  /** Bare JID of the sender. */
  readonly user: string
  /** Resource of the sender. Empty for one that has none, a component or a bridge; it counts as a resource of its own. */
  readonly resource: string
  /** Domain of the sender. */
  readonly domain: string
  readonly to: Address
}
