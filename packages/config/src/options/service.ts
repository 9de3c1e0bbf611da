import { z } from 'zod'
import { host, port } from './address.ts'
import { secret } from './secret.ts'

/** `[service]`: what the instance is called, where its XMPP server is, and which network it serves. */
export const service = z.object({
  jid: z
    .string()
    .min(1)
    .max(1023)
    .regex(/^[^\s/@]+$/, 'must be a domain such as irc.example.org, without @ and /')
    .toLowerCase()
    .describe('JID of the instance: the domain that the XMPP server routes to it.'),
  password: secret(z.string().default('').describe('Shared secret of the component connection (XEP-0114).')),
  server: host().default('127.0.0.1').describe('Host of the XMPP server whose component port is connected to.'),
  port: port()
    .overwrite(value => value || 5347)
    .default(5347)
    .describe('Component port of the XMPP server; 0 means 5347.'),
  backend: z
    .string()
    .default('')
    .describe(
      'Name of a built-in network, or the path of a Spectrum 2 backend. Left out, `service.protocol` says it where that is the name of a built-in network.',
    ),
  protocol: z.string().default('').describe('Protocol within the network, where one network module speaks several.'),
  usersPerBackend: z
    .int()
    .min(1)
    .max(100_000)
    .default(100)
    .describe('Most users that share one backend, the unit of placement and fail-over.'),
  reuseOldBackends: z
    .boolean()
    .default(true)
    .describe(
      'Whether a backend that was full once gets new users when others leave it; off: it empties and is removed.',
    ),
  loginDelay: z
    .int()
    .min(0)
    .max(3600)
    .default(0)
    .describe('Least time between two users who come to backends, in seconds; the others wait. 0: none.'),
  memoryCollectorTime: z
    .int()
    .min(0)
    .max(2_000_000)
    .default(0)
    .describe(
      'Each time so many seconds have passed, the backend with most users in the worker with the largest memory gets no new users; it is removed when it is empty. 0: off.',
    ),
  idleReconnectTime: z
    .int()
    .min(0)
    .max(2_000_000)
    .default(0)
    .describe(
      'Users without any message for so many seconds are moved to backends for idle users, so that the others empty. 0: off.',
    ),
  adminJid: z
    .array(z.string())
    .default([])
    .describe(
      'Bare JIDs of administrators: they may register although `registration.enable_public_registration` is off. Repeat the line for more.',
    ),
  allowedServers: z
    .array(z.string())
    .default([])
    .describe(
      'Domains whose users may register although `registration.enable_public_registration` is off. Repeat the line for more.',
    ),
  jidEscaping: z
    .boolean()
    .default(true)
    .describe('Whether names of the network are escaped in JIDs by XEP-0106; off: `@` becomes `%`.'),
})
