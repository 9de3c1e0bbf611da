// XEP-0184: Message Delivery Receipts

import { escapeAttribute, messageStanza } from '@spectrum/xmpp'
import { defineXep } from '../xep.ts'

export const receiptsNs = 'urn:xmpp:receipts'

export const receipts = defineXep({
  number: 184,
  version: '1.4.0',
  status: 'partial',
  announce: (kind, manifest) => (kind === 'contact' && manifest?.hasReceipts === true ? [receiptsNs] : []),
  inbound: {
    receiptReceived: ({ from, stanzaId }, context) => {
      const jid = context.jid(from)
      if (jid === undefined) return []
      const children = `<received xmlns="${receiptsNs}" id="${escapeAttribute(stanzaId)}"/>`
      return [messageStanza({ from: jid, id: context.event.key, type: 'chat' }, children)]
    },
  },
})
