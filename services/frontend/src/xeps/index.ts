import type { Xep } from '../xep.ts'
import { attention } from './attention.ts'
import { chatStates } from './chat-states.ts'
import { contacts } from './contacts.ts'
import { delay } from './delay.ts'
import { disco } from './disco.ts'
import { gatewayPresence } from './gateway-presence.ts'
import { jidEscaping } from './jid-escaping.ts'
import { messages } from './messages.ts'
import { ping } from './ping.ts'
import { receipts } from './receipts.ts'
import { registration } from './registration.ts'
import { rooms } from './rooms.ts'
import { stanzaIds } from './stanza-ids.ts'
import { softwareVersion } from './version.ts'
import { xhtml } from './xhtml.ts'

/** Everything that the gateway speaks. For stanzas that two could take, the earlier one has them. */
export const xeps: readonly Xep[] = [
  disco,
  registration,
  gatewayPresence,
  rooms,
  contacts,
  messages,
  softwareVersion,
  ping,
  delay,
  jidEscaping,
  stanzaIds,
  chatStates,
  receipts,
  attention,
  xhtml,
]
