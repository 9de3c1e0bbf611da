import { z } from 'zod'
import { secret } from './secret.ts'

/** `[nats]`: the bus between the services. */
export const nats = z.object({
  servers: z
    .array(z.string().regex(/^(nats|tls):\/\/[^\s,/]+\/?$/, 'must be like nats://host:4222, one on each line'))
    .min(1)
    .default(['nats://127.0.0.1:4222'])
    .describe(
      'NATS servers of one cluster, `nats://` or `tls://`. Repeat the line for more. `npm start` does not use it: it runs a nats-server of its own.',
    ),
  nkeySeed: secret(
    z
      .string()
      .regex(/^S[A-Z2-7]{57}$/, 'must be an NKey seed (58 characters that begin with SU)')
      .optional()
      .describe("NKey seed of this service's NATS user; each service has its own."),
  ),
  ca: z
    .string()
    .default('')
    .describe('File of the certificate authority that signed the NATS servers; empty: the system’s.'),
})
