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
  replicas: z
    .int()
    .min(1)
    .max(3)
    .refine(count => count !== 2, 'must be 1 or 3: two copies cannot outvote a lost one')
    .default(1)
    .describe(
      'Servers that keep a copy of each stream and table: 3 on a cluster of three or more, so that the loss of a machine loses nothing. Read when they are made.',
    ),
  streamBytes: z
    .int()
    .min(1_048_576)
    .default(1_073_741_824)
    .describe(
      'Most bytes that the lanes of one stream (500 backends, or all event partitions) keep on disk. Senders are told when it is full. Read when the stream is made.',
    ),
})
