// XEP-0100: Gateway Interaction

import { Show } from '@spectrum/messages'
import { type Element, presenceStanza, textOf, xml } from '@spectrum/xmpp'
import { type Gateway, notSupported } from '../gateway.ts'
import type { OutboundStanza } from '../outbound-stanza.ts'
import { shortElement } from '../rendering.ts'
import { defineXep } from '../xep.ts'
import { isRoomJoin } from './rooms.ts'
import { presenceType, priorityOf, showOf, showXml, statusOf } from './shows.ts'

const gatewayNs = 'jabber:iq:gateway'

export const gatewayPresence = defineXep({
  number: 100,
  version: '1.0',
  status: 'partial',
  announce: kind => (kind === 'gateway' ? [gatewayNs] : []),
  presence: (stanza, gateway) => stanza.to.name === '' && !isRoomJoin(stanza) && outbound(stanza, gateway),
  iqs: [
    { type: 'get', name: 'query', xmlns: gatewayNs, answer: prompt },
    { type: 'set', name: 'query', xmlns: gatewayNs, answer: translate },
  ],
  inbound: {
    gatewayPresence: ({ show, status }, context) => [
      presenceStanza(
        { from: context.addresses.domain, type: presenceType(show) },
        showXml(show) + shortElement('status', status, context),
      ),
    ],
  },
})

function outbound(stanza: OutboundStanza, gateway: Gateway): boolean {
  const { element } = stanza
  const answer = (type: string) => gateway.write(xml('presence', { from: gateway.domain, to: stanza.user, type }))
  switch (stanza.type) {
    case '': {
      const value = { show: showOf(element), status: statusOf(element), priority: priorityOf(element) }
      gateway.command(stanza, { $case: 'setPresence', value }, { session: 'login' })
      return true
    }
    case 'unavailable': {
      const value = { show: Show.SHOW_OFFLINE, status: statusOf(element), priority: 0 }
      gateway.command(stanza, { $case: 'setPresence', value }, { session: 'optional' })
      return true
    }
    case 'subscribe':
      answer('subscribed')
      // The gateway needs the user's presence as well: it is what logs in and out.
      answer('subscribe')
      return true
    case 'unsubscribe':
      answer('unsubscribed')
      return true
    case 'subscribed':
    case 'unsubscribed':
      return gateway.ignore('subscription-answer')
    case 'probe':
      probe(stanza, gateway)
      return true
    default:
      return false
  }
}

/** RFC 6121 section 4.3.2: asks how somebody is now. Without a session nobody is there, which is an answer too. */
export function probe(stanza: OutboundStanza, gateway: Gateway): void {
  const absent = () =>
    gateway.write(xml('presence', { from: String(stanza.element.attrs.to), to: stanza.from, type: 'unavailable' }))
  gateway.command(
    stanza,
    { $case: 'probePresence', value: { of: stanza.to } },
    { session: 'required', onFailed: absent },
  )
}

// XEP-0100 section 6.3: how a legacy name becomes a JID.
function prompt(stanza: OutboundStanza, _query: Element, gateway: Gateway): Element {
  if (stanza.to.name !== '') throw notSupported('This')
  return xml(
    'query',
    { xmlns: gatewayNs },
    xml('desc', {}, 'Enter the name of your contact on the other network.'),
    xml('prompt', {}, gateway.parts.config.registration.usernameLabel),
  )
}

function translate(stanza: OutboundStanza, query: Element, gateway: Gateway): Element {
  const name = textOf(query, 'prompt')?.trim() ?? ''
  const jid = name === '' ? undefined : gateway.parts.addresses.bare({ name, node: '', resource: '' })
  if (stanza.to.name !== '' || jid === undefined) throw notSupported('That name')
  return xml('query', { xmlns: gatewayNs }, xml('jid', {}, jid), xml('prompt', {}, jid))
}
