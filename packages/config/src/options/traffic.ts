import { z } from 'zod'
import { addressBlock, ports } from './address.ts'

/** `[frontend]` */
export const frontend = z.object({
  maxStanzaBytes: z
    .int()
    .min(10_000)
    .max(16_777_216)
    .default(262_144)
    .describe('Largest stanza that is written or accepted, in bytes; not above what the XMPP server takes.'),
  eventPartitions: z
    .int()
    .min(1)
    .max(1024)
    .default(32)
    .describe('Event lanes of the instance; the same in all its services, and not to be changed while they run.'),
  connections: z
    .enum(['one', 'many'])
    .default('one')
    .describe(
      'How many connections the XMPP server accepts for the component. `one` (Prosody): one frontend is active, the others stand by. `many` (ejabberd with `domain_balancing: {type: bare_source, component_number: …}`, Openfire): all are active.',
    ),
  returnSeconds: z
    .int()
    .min(0)
    .max(3_600)
    .default(120)
    .describe(
      'How long clients may take to come back after the XMPP server was restarted, before they leave their rooms.',
    ),
})

/** `[worker]` */
export const worker = z.object({
  backendsPerWorker: z
    .int()
    .min(1)
    .max(10_000)
    .default(10)
    .describe(
      'Backends that one worker takes without hesitating, and by which workers are counted and started. It takes more when no other worker has taken them within two seconds: too many are better than none.',
    ),
})

/** `[egress]`: where users may make the gateway connect to. Hosts in the configuration itself are always allowed. */
export const egress = z.object({
  deny: z
    .array(addressBlock())
    .default([])
    .describe('Address blocks that are refused, beside private and local ones. Repeat the line for more.'),
  allow: z
    .array(addressBlock())
    .default([])
    .describe('Address blocks that are allowed although they are private or denied. Repeat the line for more.'),
  allowedPorts: z
    .array(ports())
    .default(['194', '994', '6660-6669', '6697', '7000', '7070'])
    .describe(
      'Ports that users may name, each line a port or a range of them; `1-65535`: all. Repeat the line for more.',
    ),
})
