// XEP-0092: Software Version

import { xml } from '@spectrum/xmpp'
import { version } from '../version.ts'
import { defineXep } from '../xep.ts'

const xmlns = 'jabber:iq:version'

export const softwareVersion = defineXep({
  number: 92,
  version: '1.1',
  status: 'complete',
  announce: () => [xmlns],
  iqs: [
    {
      type: 'get',
      name: 'query',
      xmlns,
      answer: () => xml('query', { xmlns }, xml('name', {}, 'Spectrum'), xml('version', {}, version)),
    },
  ],
})
