import { z } from 'zod'
import { port } from './address.ts'
import { secret } from './secret.ts'

/** `[launcher]`: who starts workers, and how many. The leading router sees to it. */
export const launcher = z.object({
  type: z
    .enum(['external', 'process', 'kubernetes'])
    .default('external')
    .describe(
      '`external`: somebody else starts workers, by `spectrum_workers_wanted` or by hand. `process`: the leading router starts them on its machine. `kubernetes`: it scales a StatefulSet.',
    ),
  minWorkers: z.int().min(0).max(10_000).default(1).describe('Fewest workers that are kept, however few the backends.'),
  maxWorkers: z
    .int()
    .min(1)
    .max(10_000)
    .default(16)
    .describe('Most workers that are started, however many the backends.'),
  idleTime: z
    .int()
    .min(0)
    .max(86_400)
    .default(300)
    .describe('So many seconds there must be one worker too many before one is stopped; then the next wait begins.'),
  workerNkeySeed: secret(
    z
      .string()
      .regex(/^S[A-Z2-7]{57}$/, 'must be an NKey seed (58 characters that begin with SU)')
      .optional()
      .describe('NKey seed of the workers that `process` starts; they get it in their environment.'),
  ),
  workerHttpPort: port()
    .default(0)
    .describe('Port of `/metrics` of the first worker that `process` starts, the others take the next ones; 0: off.'),
  statefulSet: z
    .string()
    .regex(/^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$/, 'must be the name of a StatefulSet')
    .default('spectrum-worker')
    .describe('StatefulSet of the workers, for `kubernetes`.'),
  namespace: z
    .string()
    .regex(/^([a-z0-9]([-a-z0-9]*[a-z0-9])?)?$/, 'must be the name of a namespace')
    .default('')
    .describe('Namespace of the StatefulSet; empty: that of the router’s pod.'),
  apiServer: z
    .string()
    .regex(/^https:\/\/[^\s/]+$/, 'must be like https://host or https://host:port')
    .default('https://kubernetes.default.svc')
    .describe('Kubernetes API server.'),
  serviceAccount: z
    .string()
    .default('/var/run/secrets/kubernetes.io/serviceaccount')
    .describe(
      'Folder with the `token`, `ca.crt` and `namespace` of the service account. It may get and patch `statefulsets/scale`.',
    ),
})
