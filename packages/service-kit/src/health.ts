import { once } from 'node:events'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { Log } from './log.ts'
import type { Registry } from './metrics.ts'

export interface HealthOptions {
  readonly host: string
  readonly port: number
  readonly registry: Registry
  readonly log: Log
  /** True, or why the process cannot do its work now. */
  ready(): boolean | string
}

interface Answer {
  readonly status: number
  readonly type?: string
  readonly body: string
}

/**
 * Serves `/metrics` (Prometheus text), `/healthz` (200 while the event loop turns) and `/readyz` (200, or 503 with the
 * reason). Fulfils when it listens; rejects when it cannot.
 */
export async function startHealthServer(options: HealthOptions): Promise<AsyncDisposable> {
  const server = createServer({ requestTimeout: 10_000, headersTimeout: 5_000 }, (request, response) => {
    answer(options, request).then(
      result => send(response, request, result),
      (error: unknown) => {
        options.log.error({ err: error, path: request.url }, 'a health request failed')
        send(response, request, { status: 500, body: 'failed' })
      },
    )
  })
  server.maxConnections = 64
  server.listen(options.port, options.host)
  await once(server, 'listening')
  options.log.info({ address: server.address() }, 'metrics and health are served')
  return {
    async [Symbol.asyncDispose]() {
      const closed = once(server, 'close')
      server.close()
      server.closeAllConnections()
      await closed
    },
  }
}

async function answer({ registry, ready }: HealthOptions, request: IncomingMessage): Promise<Answer> {
  if (request.method !== 'GET' && request.method !== 'HEAD') return { status: 405, body: 'only GET' }
  switch (request.url?.split('?', 1)[0]) {
    case '/metrics':
      return { status: 200, type: registry.contentType, body: await registry.metrics() }
    case '/healthz':
      return { status: 200, body: 'ok' }
    case '/readyz': {
      const state = ready()
      if (state === true) return { status: 200, body: 'ready' }
      return { status: 503, body: state === false ? 'not ready' : state }
    }
    default:
      return { status: 404, body: 'not found' }
  }
}

function send(response: ServerResponse, request: IncomingMessage, { status, type, body }: Answer): void {
  response.writeHead(status, { 'content-type': type ?? 'text/plain; charset=utf-8', 'cache-control': 'no-store' })
  response.end(request.method === 'HEAD' ? undefined : `${body}\n`)
}
