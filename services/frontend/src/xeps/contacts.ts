// RFC 6121 sections 3 and 4: presence of contacts, and subscriptions to it
// XEP-0172: User Nickname

import { ContactPresence_Kind } from '@spectrum/messages'
import { presenceStanza, xml } from '@spectrum/xmpp'
import type { Gateway } from '../gateway.ts'
import type { OutboundStanza } from '../outbound-stanza.ts'
import { shortElement, shortText } from '../rendering.ts'
import { defineXep } from '../xep.ts'
import { probe } from './gateway-presence.ts'
import { avatarXml } from './rooms.ts'
import { presenceType, showXml } from './shows.ts'

const nickNs = 'http://jabber.org/protocol/nick'

const types: Readonly<Partial<Record<ContactPresence_Kind, string>>> = {
  [ContactPresence_Kind.KIND_SUBSCRIBE]: 'subscribe',
  [ContactPresence_Kind.KIND_SUBSCRIBED]: 'subscribed',
  [ContactPresence_Kind.KIND_UNSUBSCRIBE]: 'unsubscribe',
  [ContactPresence_Kind.KIND_UNSUBSCRIBED]: 'unsubscribed',
}

export const contacts = defineXep({
  number: 172,
  version: '1.1',
  status: 'partial',
  announce: () => [nickNs],
  presence: (stanza, gateway) => stanza.to.name !== '' && outbound(stanza, gateway),
  inbound: {
    contactPresence: ({ from, kind, show, status, nick, avatarHash }, context) => {
      const jid = context.jid(from)
      if (jid === undefined) return []
      const type = types[kind]
      const children =
        (type === undefined ? showXml(show) : '') +
        shortElement('status', status, context) +
        (nick === '' ? '' : `<nick xmlns="${nickNs}">${shortText(nick, context)}</nick>`) +
        avatarXml(avatarHash)
      return [presenceStanza({ from: jid, type: type ?? presenceType(show) }, children)]
    },
    contactRemoved: ({ contact }, context) => {
      const from = context.jid(contact)
      if (from === undefined) return []
      return ['unsubscribe', 'unsubscribed', 'unavailable'].map(type => presenceStanza({ from, type }, ''))
    },
  },
})

function outbound(stanza: OutboundStanza, gateway: Gateway): boolean {
  const answer = (type: string) =>
    gateway.write(xml('presence', { from: String(stanza.element.attrs.to), to: stanza.user, type }))
  switch (stanza.type) {
    case 'subscribe':
      answer('subscribed')
      probe(stanza, gateway)
      return true
    case 'unsubscribe':
      answer('unsubscribed')
      return true
    case 'probe':
      probe(stanza, gateway)
      return true
    case 'subscribed':
    case 'unsubscribed':
      return gateway.ignore('subscription-answer')
    case '':
    case 'unavailable':
      // A session's presence is what it told the gateway; what it tells a contact alone has no counterpart.
      return gateway.ignore('directed-presence')
    default:
      return false
  }
}
