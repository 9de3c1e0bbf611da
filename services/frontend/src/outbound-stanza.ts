import type { Address } from '@spectrum/messages'
import type { Element } from '@spectrum/xmpp'

/** A stanza of a user, with its addresses read. */
export interface OutboundStanza {
  readonly element: Element
  readonly name: 'message' | 'presence' | 'iq'
  /** Empty when the stanza has none. */
  readonly type: string
  readonly id: string
  /** Full JID of the sender as it stands. */
  readonly from: string
  /** Bare JID of the sender. */
  readonly user: string
  /** Resource of the sender, may be empty. */
  readonly resource: string
  /** Domain of the sender. */
  readonly domain: string
  readonly to: Address
}
