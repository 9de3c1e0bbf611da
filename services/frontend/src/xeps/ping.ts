// XEP-0199: XMPP Ping

import { namespaces } from '@spectrum/xmpp'
import { defineXep } from '../xep.ts'

export const ping = defineXep({
  number: 199,
  version: '2.0.1',
  status: 'complete',
  announce: () => [namespaces.ping],
  iqs: [{ type: 'get', name: 'ping', xmlns: namespaces.ping, answer: () => undefined }],
})
