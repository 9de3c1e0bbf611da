// XEP-0030: Service Discovery

import { NetworkError } from '@spectrum/network'
import { type Element, xml } from '@spectrum/xmpp'
import type { Gateway } from '../gateway.ts'
import type { OutboundStanza } from '../outbound-stanza.ts'
import { defineXep } from '../xep.ts'

const infoNs = 'http://jabber.org/protocol/disco#info'
const itemsNs = 'http://jabber.org/protocol/disco#items'
/** How long an answer waits for a worker to tell what the network can do. */
const manifestPatienceMs = 5_000

export const disco = defineXep({
  number: 30,
  version: '2.5.0',
  status: 'complete',
  announce: () => [infoNs, itemsNs],
  iqs: [
    { type: 'get', name: 'query', xmlns: infoNs, answer: info },
    { type: 'get', name: 'query', xmlns: itemsNs, answer: items },
  ],
})

async function info(stanza: OutboundStanza, query: Element, gateway: Gateway): Promise<Element> {
  refuseNode(query)
  await gateway.parts.manifest.within(manifestPatienceMs)
  const kind = gateway.kindOf(stanza.to)
  const features = gateway.parts.features(kind).map(feature => xml('feature', { var: feature }))
  return xml('query', { xmlns: infoNs }, identity(stanza, gateway), ...features)
}

function identity({ to }: OutboundStanza, gateway: Gateway): Element {
  const { config, manifest } = gateway.parts
  switch (gateway.kindOf(to)) {
    case 'room':
      return xml('identity', { category: 'conference', type: 'text', name: to.name })
    case 'contact':
      return xml('identity', { category: 'client', type: 'pc', name: config.identity.name })
    case 'gateway': {
      const { category, type, name } = config.identity
      return xml('identity', { category, type: type === '' ? manifest.network || 'gateway' : type, name })
    }
  }
}

async function items(stanza: OutboundStanza, query: Element, gateway: Gateway): Promise<Element> {
  refuseNode(query)
  const manifest = await gateway.parts.manifest.within(manifestPatienceMs)
  const rooms = stanza.to.name === '' ? (manifest?.rooms ?? []) : []
  const listed = rooms.flatMap(({ room, name }) => {
    const jid = gateway.parts.addresses.bare({ name: room, node: '', resource: '' })
    return jid === undefined ? [] : [xml('item', { jid, name })]
  })
  return xml('query', { xmlns: itemsNs }, ...listed)
}

function refuseNode(query: Element): void {
  if (query.attrs.node !== undefined) throw new NetworkError('not-found', 'There is no such node.')
}
