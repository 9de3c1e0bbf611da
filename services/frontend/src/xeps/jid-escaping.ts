// XEP-0106: JID Escaping

import { defineXep } from '../xep.ts'

/** The translation itself is in addresses.ts: it concerns every stanza. */
export const jidEscaping = defineXep({
  number: 106,
  version: '1.1.1',
  status: 'complete',
  announce: (kind, manifest) => (kind === 'gateway' && manifest?.escapesJids !== false ? ['jid\\20escaping'] : []),
})
