import { headers as createHeaders, type Msg, type MsgHdrs } from '@nats-io/transport-node'
import { isFailureCode, type Logger, NetworkError } from '@spectrum/network'
import type { Connection } from './connection.ts'
import type { BusOptions, ServiceName } from './options.ts'
import type { CallContext, CallOptions, Client, Handlers, ServiceDefinition } from './requests.ts'
import { callerOf, requestSubject } from './subjects.ts'

const header = {
  from: 'Spectrum-From',
  timeout: 'Spectrum-Timeout-Ms',
  failure: 'Spectrum-Failure',
  text: 'Spectrum-Failure-Text',
  uncertain: 'Spectrum-Uncertain',
  traceparent: 'traceparent',
} as const

const defaultTimeoutMs = 10_000
/** Calls that one process handles at a time; more are answered `rate-limited`. */
const maxConcurrent = 1000
const maxFailureText = 500

type AnyHandler = (request: unknown, context: CallContext) => Promise<unknown>
type Method = ServiceDefinition['methods'][string]

/** Requests and replies. Failures travel as headers beside an empty reply. */
export class RequestBroker {
  readonly #connection: Connection
  readonly #options: BusOptions
  readonly #processId: string
  readonly #log: Logger
  #running = 0

  constructor(connection: Connection, options: BusOptions, processId: string) {
    this.#connection = connection
    this.#options = options
    this.#processId = processId
    this.#log = options.log
  }

  client<D extends ServiceDefinition>(definition: D, options: { target?: string; timeoutMs?: number } = {}): Client<D> {
    const calls: Record<string, (request: unknown, call?: CallOptions) => Promise<unknown>> = {}
    for (const [name, method] of Object.entries(definition.methods))
      calls[name] = (request, call = {}) => this.#call(definition, method, request, { ...options, ...call })
    return calls as Client<D>
  }

  serve<D extends ServiceDefinition>(
    definition: D,
    handlers: Handlers<D>,
    options: { target?: string } = {},
  ): Disposable {
    const { instance, service } = this.#options
    const subscriptions = Object.entries(definition.methods).flatMap(([name, method]) => {
      const handler = handlers[name] as AnyHandler | undefined
      if (!handler) return []
      const subject = requestSubject(instance, definition.name, method.name, options.target, '*')
      return this.#connection.nc.subscribe(subject, {
        ...(options.target ? {} : { queue: service }),
        callback: (error, message) => {
          if (error) this.#log.error({ err: error, method: method.name }, 'requests cannot be served')
          else this.#answer(message, method, handler)
        },
      })
    })
    return {
      [Symbol.dispose]: () => {
        // What the server has sent already is still answered.
        for (const subscription of subscriptions)
          subscription.drain().catch(error => this.#log.debug({ err: error }, 'a served method was cut off'))
      },
    }
  }

  async #call(
    definition: ServiceDefinition,
    method: Method,
    request: unknown,
    options: CallOptions & { target?: string },
  ): Promise<unknown> {
    const { instance, service } = this.#options
    const timeoutMs = options.timeoutMs ?? defaultTimeoutMs
    const headers = createHeaders()
    headers.set(header.from, this.#processId)
    headers.set(header.timeout, String(timeoutMs))
    if (options.traceparent) headers.set(header.traceparent, options.traceparent)
    const subject = requestSubject(instance, definition.name, method.name, options.target, service)
    const payload = method.requestType.encode(request as never).finish()
    const reply = await this.#connection.request(subject, payload, timeoutMs, headers)
    if (reply.headers?.has(header.failure)) throw failureOf(reply.headers)
    return method.responseType.decode(reply.data)
  }

  #answer(message: Msg, method: Method, handler: AnyHandler): void {
    if (this.#running >= maxConcurrent) {
      this.#connection.count('bus_refused', { reason: 'too-many-requests', method: method.name })
      message.respond('', { headers: failureHeaders(new NetworkError('rate-limited', 'Too busy; try again later.')) })
      return
    }
    this.#running++
    this.#handle(message, method, handler)
      .catch(error => this.#log.error({ err: error, method: method.name }, 'a request could not be answered'))
      .finally(() => this.#running--)
  }

  async #handle(message: Msg, method: Method, handler: AnyHandler): Promise<void> {
    const deadline = new AbortController()
    const timeoutMs = Number(message.headers?.get(header.timeout)) || defaultTimeoutMs
    const timer = setTimeout(() => deadline.abort(), timeoutMs)
    try {
      const traceparent = message.headers?.get(header.traceparent)
      const reply = await handler(decodeRequest(method, message.data), {
        from: message.headers?.get(header.from) ?? '',
        service: callerOf(message.subject) as ServiceName,
        signal: deadline.signal,
        ...(traceparent ? { traceparent } : {}),
      })
      message.respond(method.responseType.encode(reply as never).finish())
    } catch (error) {
      if (!(error instanceof NetworkError))
        this.#log.error({ err: error, method: method.name }, 'a request handler failed unexpectedly')
      this.#connection.count('bus_requests_failed', { method: method.name, reason: NetworkError.from(error).code })
      message.respond('', { headers: failureHeaders(NetworkError.from(error)) })
    } finally {
      clearTimeout(timer)
    }
  }
}

function decodeRequest(method: Method, data: Uint8Array): unknown {
  try {
    return method.requestType.decode(data)
  } catch (cause) {
    throw new NetworkError('bad-request', 'The request cannot be read.', { cause })
  }
}

// Header values are one line; what a user may see is not.
function failureHeaders(error: NetworkError): MsgHdrs {
  const headers = createHeaders()
  headers.set(header.failure, error.code)
  headers.set(header.text, encodeURIComponent(error.message.slice(0, maxFailureText).toWellFormed()))
  if (!error.certain) headers.set(header.uncertain, '1')
  return headers
}

function failureOf(headers: MsgHdrs): NetworkError {
  const code = headers.get(header.failure)
  return new NetworkError(isFailureCode(code) ? code : 'unexpected', decodeURIComponent(headers.get(header.text)), {
    certain: !headers.has(header.uncertain),
  })
}
