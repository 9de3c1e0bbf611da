// XEP-0199: XMPP Ping
// XEP-0410: MUC Self-Ping

import { NetworkError } from '@spectrum/network'
import { iqStanza, namespaces } from '@spectrum/xmpp'
import type { Gateway } from '../gateway.ts'
import type { OutboundStanza } from '../outbound-stanza.ts'
import { defineXep, type IqAnswer } from '../xep.ts'

const selfPingNs = 'http://jabber.org/protocol/muc#self-ping-optimization'

export const ping = defineXep({
  number: 199,
  version: '2.0.1',
  status: 'complete',
  announce: kind => (kind === 'room' ? [namespaces.ping, selfPingNs] : [namespaces.ping]),
  iqs: [{ type: 'get', name: 'ping', xmlns: namespaces.ping, answer }],
  inbound: {
    selfPingAnswered: ({ from, stanzaId }, context) => {
      const jid = context.jid(from)
      return jid === undefined ? [] : [iqStanza({ from: jid, id: stanzaId, type: 'result' }, '')]
    },
  },
})

/** Whether a client is in a room only its session knows; in order with its joins. Who has no session is in none. */
function answer(stanza: OutboundStanza, _ping: unknown, gateway: Gateway): IqAnswer {
  const { name, resource } = stanza.to
  // Contacts have no resources, so that one tells a nick also where the name does not tell a room.
  if (name === '' || resource === '' || gateway.parts.manifest.isRoom(name) === false) return undefined
  gateway.command(
    stanza,
    { $case: 'selfPing', value: { room: stanza.to } },
    {
      session: 'required',
      onFailed: error =>
        gateway.fail(
          stanza,
          error.code === 'signed-out' || error.code === 'not-registered'
            ? new NetworkError('not-joined', 'You are not in this room.')
            : error,
        ),
    },
  )
  return 'by-event'
}
