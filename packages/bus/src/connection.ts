import { readFileSync } from 'node:fs'
import { setTimeout as delay, setImmediate as nextTurn } from 'node:timers/promises'
import {
  connect,
  type Msg,
  type MsgHdrs,
  type NatsConnection,
  type NodeConnectionOptions,
  nkeyAuthenticator,
  PermissionViolationError,
  type Status,
} from '@nats-io/transport-node'
import { type Logger, NetworkError } from '@spectrum/network'
import { Listeners } from './listeners.ts'
import type { BusOptions, Count, ServiceName } from './options.ts'
import { Replies } from './replies.ts'
import { inboxPrefix } from './subjects.ts'

/** An error that the JetStream API answered. Codes: https://github.com/nats-io/nats-server/blob/main/server/errors.json */
export class JetStreamError extends Error {
  override name = 'JetStreamError'
  readonly errCode: number
  constructor(error: { code?: number; err_code?: number; description?: string }) {
    super(error.description ?? `JetStream error ${error.err_code ?? error.code}`)
    this.errCode = error.err_code ?? 0
  }
}

/** Of {@link JetStreamError.errCode}. */
export const errCodes = {
  wrongLastSequence: 10071,
  noMessage: 10037,
  streamNotFound: 10059,
  streamFull: 10077,
} as const

const noticeNobodyEveryMs = 30_000
const maxReconnectWaitMs = 2000
/** How long closing waits for replies to what was asked last. */
const lastRepliesMs = 500
export const defaultMaxPayload = 2 ** 20

const refused =
  'NATS refuses this service: it needs the key that the server has for it (nats.nkey_seed, or SPECTRUM_NATS_NKEY_SEED_FILE), trying on'

const isRefusal = (error: unknown): boolean => /authorization|authentication/i.test((error as Error).message)

/** The one connection of a process: reconnects for ever, and tells who must know. */
export class Connection {
  readonly nc: NatsConnection
  readonly log: Logger
  readonly count: Count
  readonly connected: Listeners<[isConnected: boolean]>
  /** A server left the cluster (its connect URLs were withdrawn): readers that it served will hear nothing any more. */
  readonly serverLost: Listeners<[]>
  isConnected = true
  readonly #closing = new AbortController()
  readonly #replies: Replies

  private constructor(nc: NatsConnection, service: ServiceName, log: Logger, count: Count) {
    this.nc = nc
    this.log = log
    this.count = count
    this.connected = new Listeners(log)
    this.serverLost = new Listeners(log)
    this.#replies = new Replies(nc, inboxPrefix(service), error =>
      log.error({ err: error }, 'replies cannot be received'),
    )
    this.#follow(nc.status()).catch(error => log.error({ err: error }, 'the bus connection can no longer be watched'))
  }

  /** Tries until it succeeds or `signal` aborts. */
  static async open(options: BusOptions, processId: string, signal?: AbortSignal): Promise<Connection> {
    const { log, count = () => {} } = options
    let lastNotice = -Infinity
    for (let attempt = 0; ; attempt++) {
      signal?.throwIfAborted()
      try {
        return new Connection(await connect(connectionOptions(options, processId)), options.service, log, count)
      } catch (error) {
        if (performance.now() - lastNotice > noticeNobodyEveryMs) {
          lastNotice = performance.now()
          log.warn(
            { err: error, servers: options.servers },
            isRefusal(error) ? refused : 'NATS cannot be reached, trying on',
          )
        }
        await delay(reconnectWaitMs(attempt), undefined, signal ? { signal } : {})
      }
    }
  }

  /** Fulfils when there is a connection; rejects with `unavailable` after the time. */
  async whenConnected(timeoutMs: number): Promise<void> {
    if (this.isConnected) return
    const { signal } = this.#closing
    await new Promise<void>((resolve, reject) => {
      const settle = (isConnected: boolean) => {
        clearTimeout(timer)
        subscription[Symbol.dispose]()
        signal.removeEventListener('abort', away)
        if (isConnected) resolve()
        else reject(new NetworkError('unavailable', 'The message bus is away.'))
      }
      const away = () => settle(false)
      const timer = setTimeout(away, timeoutMs)
      const subscription = this.connected.add(isConnected => isConnected && settle(true))
      signal.addEventListener('abort', away)
      if (signal.aborted) away()
    })
  }

  /** One request and its reply. Rejects with `unavailable`, not certain when it may have been heard. */
  async request(subject: string, payload: Uint8Array | string, timeoutMs: number, headers?: MsgHdrs): Promise<Msg> {
    const start = performance.now()
    if (!this.isConnected) await this.whenConnected(timeoutMs)
    const maxBytes = this.nc.info?.max_payload ?? defaultMaxPayload
    if (payload.length > maxBytes) throw new NetworkError('too-large', 'This is too large to be asked.')
    const timeout = Math.max(1, timeoutMs - (performance.now() - start))
    try {
      return await this.#replies.ask(subject, payload, timeout, headers)
    } catch (cause) {
      if (cause instanceof NetworkError) throw cause
      // The client is closed.
      throw new NetworkError('unavailable', 'The message bus is away.', { cause })
    }
  }

  /** A call of the JetStream API. @throws JetStreamError what the server answers, NetworkError when it does not */
  async api<T>(subject: string, body: object | undefined, timeoutMs = 2000): Promise<T> {
    const reply = await this.request(subject, body ? JSON.stringify(body) : '', timeoutMs)
    return parseApiReply<T>(reply.data)
  }

  async close(): Promise<void> {
    // What was asked a moment ago is on its way only after the next turn, and counts as awaited only then.
    await nextTurn()
    // Whoever still publishes holds what it has, as without a connection.
    this.isConnected = false
    this.#closing.abort()
    await Promise.race([this.#replies.idle(), delay(lastRepliesMs, undefined, { ref: false })])
    this.#replies.close()
    await this.nc.close()
  }

  async #follow(statuses: AsyncIterable<Status>): Promise<void> {
    for await (const status of statuses) this.#onStatus(status)
    if (this.#closing.signal.aborted) return
    // It reconnects for ever; what ends it all the same must at least be seen.
    this.log.error({ err: await this.nc.closed() }, 'the client has given the connection to NATS up')
    this.#set(false, '')
  }

  #onStatus(status: Status): void {
    switch (status.type) {
      case 'disconnect':
        return this.#set(false, status.server)
      case 'reconnect':
        return this.#set(true, status.server)
      case 'update':
        if (status.deleted?.length) {
          this.log.warn({ servers: status.deleted }, 'a NATS server left the cluster')
          this.serverLost.emit()
        }
        return
      case 'error':
        if (status.error instanceof PermissionViolationError) {
          const { operation, subject } = status.error
          this.count('bus_refused', { reason: 'permission', operation })
          if (operation === 'publish') this.#replies.refuse(subject, status.error)
          this.log.error({ operation, subject }, 'NATS refuses this service a subject')
        } else this.log.warn({ err: status.error }, 'NATS reports an error')
        return
      case 'slowConsumer':
        this.count('bus_slow_subscriptions', {})
        return
      default:
        return
    }
  }

  #set(isConnected: boolean, server: string): void {
    if (isConnected === this.isConnected) return
    this.isConnected = isConnected
    this.log.warn({ server }, isConnected ? 'NATS is back' : 'the connection to NATS is lost')
    this.connected.emit(isConnected)
  }
}

export function parseApiReply<T>(data: Uint8Array): T {
  const reply = JSON.parse(Buffer.from(data.buffer, data.byteOffset, data.byteLength).toString('utf8')) as T & {
    error?: { code?: number; err_code?: number; description?: string }
  }
  if (reply.error) throw new JetStreamError(reply.error)
  return reply
}

/** Quick at first, for a server that restarts; never more than 2 s, spread so that not all come back at once. */
const reconnectWaitMs = (attempt: number): number =>
  20 + Math.random() * Math.min(maxReconnectWaitMs - 20, 100 * 2 ** Math.min(attempt, 10))

function connectionOptions(options: BusOptions, processId: string): NodeConnectionOptions {
  const needsTls = options.caFile !== undefined || options.servers.some(server => server.startsWith('tls://'))
  let attempt = 0
  return {
    servers: options.servers.map(server => server.replace(/^(nats|tls):\/\//, '')),
    name: processId,
    inboxPrefix: inboxPrefix(options.service),
    maxReconnectAttempts: -1,
    reconnectDelayHandler: () => reconnectWaitMs(attempt++ % 16),
    ignoreAuthErrorAbort: true,
    // Two stack traces for each request cost more than the request itself.
    noAsyncTraces: true,
    // A frozen server (no RST) is noticed after three of these.
    pingInterval: 4000,
    maxPingOut: 2,
    timeout: 5000,
    ...(options.nkeySeed ? { authenticator: nkeyAuthenticator(Buffer.from(options.nkeySeed, 'ascii')) } : {}),
    ...(needsTls ? { tls: options.caFile ? { ca: readFileSync(options.caFile, 'utf8') } : {} } : {}),
  }
}
