// XEP-0199: XMPP Ping
// XEP-0410: MUC Self-Ping

import { NetworkError } from '@spectrum/network'
import { namespaces } from '@spectrum/xmpp'
import type { Gateway } from '../gateway.ts'
import type { OutboundStanza } from '../outbound-stanza.ts'
import { defineXep } from '../xep.ts'

export const ping = defineXep({
  number: 199,
  version: '2.0.1',
  status: 'complete',
  announce: () => [namespaces.ping],
  iqs: [{ type: 'get', name: 'ping', xmlns: namespaces.ping, answer }],
})

async function answer({ to, user }: OutboundStanza, _ping: unknown, gateway: Gateway): Promise<undefined> {
  if (to.resource === '' || gateway.kindOf(to) !== 'room') return undefined
  // A client asks whether it is still in the room. Who has no session is in none; who leaves one otherwise is told by presence.
  const { placements } = gateway.parts
  const placement = placements.cached(user) ?? (await placements.read(user))
  if (placement === undefined) throw new NetworkError('not-joined', 'You are not in this room.')
  return undefined
}
