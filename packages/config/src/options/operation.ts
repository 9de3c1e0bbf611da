import { z } from 'zod'
import { host, isLoopback, port } from './address.ts'

/** `[log]` */
export const log = z.object({
  level: z.enum(['debug', 'info', 'warn', 'error']).default('info').describe('Least severe line that is written.'),
})

/** `[http]`: health and metrics of each service. */
export const http = z.object({
  host: host().default('127.0.0.1').describe('Address that `/metrics`, `/healthz` and `/readyz` listen on.'),
  port: port().default(0).describe('Port of `/metrics`, `/healthz` and `/readyz`; 0: off. Each service needs its own.'),
})

/** `[grpc]`: the router's admin API. */
export const grpc = z.object({
  host: host()
    .refine(isLoopback, 'must be of this machine alone (127.0.0.1, ::1): the admin API has no access tokens yet')
    .default('127.0.0.1')
    .describe('Address that the admin API listens on: of the loopback interface.'),
  port: port().default(0).describe('Port of the admin API; 0: a free one, which the log names.'),
})

/** `[tracing]`: OpenTelemetry. */
export const tracing = z.object({
  otlpEndpoint: z
    .string()
    .refine(url => url === '' || isHttpUrl(url), 'must be a URL such as http://collector:4318')
    .default('')
    .describe('OTLP/HTTP collector that spans are sent to; without a path, `/v1/traces` is added. Empty: no tracing.'),
  sampleRatio: z
    .number()
    .min(0)
    .max(1)
    .default(1)
    .describe('Share of new traces that is recorded; what others already trace is followed always.'),
})

function isHttpUrl(text: string): boolean {
  return URL.canParse(text) && /^https?:$/.test(new URL(text).protocol)
}
