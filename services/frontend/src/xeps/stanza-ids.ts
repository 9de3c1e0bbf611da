// XEP-0359: Unique and Stable Stanza IDs

import { escapeAttribute } from '@spectrum/xmpp'
import { defineXep } from '../xep.ts'

export const stanzaIdsNs = 'urn:xmpp:sid:0'

export const stanzaIds = defineXep({
  number: 359,
  version: '0.7.0',
  status: 'complete',
  announce: kind => (kind === 'room' ? [stanzaIdsNs] : []),
})

/** The sender's own id, in a reflection. */
export const originIdXml = (id: string): string => `<origin-id xmlns="${stanzaIdsNs}" id="${escapeAttribute(id)}"/>`

/** The network's id, vouched for by `by`. */
export const stanzaIdXml = (id: string, by: string): string =>
  `<stanza-id xmlns="${stanzaIdsNs}" id="${escapeAttribute(id)}" by="${escapeAttribute(by)}"/>`
