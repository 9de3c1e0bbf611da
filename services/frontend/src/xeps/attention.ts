// XEP-0224: Attention

import { messageStanza } from '@spectrum/xmpp'
import { shortElement } from '../rendering.ts'
import { defineXep } from '../xep.ts'

export const attention = defineXep({
  number: 224,
  version: '1.0',
  status: 'partial',
  inbound: {
    attentionRequested: ({ from, text }, context) => {
      const jid = context.jid(from)
      if (jid === undefined) return []
      const children = `<attention xmlns="urn:xmpp:attention:0"/>${shortElement('body', text, context)}`
      return [messageStanza({ from: jid, id: context.event.key, type: 'headline' }, children)]
    },
  },
})
