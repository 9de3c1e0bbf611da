import type { ServiceName } from './options.ts'

/** What a generated message type offers; whose messages they are is inferred from each definition. */
interface MessageType {
  encode(message: never): { finish(): Uint8Array }
  decode(input: Uint8Array): unknown
}

/** A service as ts-proto's generic definitions describe it (`RouterDefinition`). Only unary methods are carried. */
export interface ServiceDefinition {
  readonly name: string
  readonly methods: Record<
    string,
    { readonly name: string; readonly requestType: MessageType; readonly responseType: MessageType }
  >
}

type RequestOf<M> = M extends { requestType: { encode(message: infer T, ...rest: never[]): unknown } } ? T : never
type ReplyOf<M> = M extends { responseType: { decode(...args: never[]): infer T } } ? T : never

export interface CallOptions {
  /** W3C trace context of the caller. */
  traceparent?: string
  timeoutMs?: number
}

/**
 * Calls of a service. They reject with a NetworkError: the remote's failure; `unavailable` (certain) when nobody
 * serves it; `unavailable` (not certain: it may have taken effect) on time-out, 10 s by default.
 */
export type Client<D extends ServiceDefinition> = {
  readonly [K in keyof D['methods']]: (
    request: RequestOf<D['methods'][K]>,
    options?: CallOptions,
  ) => Promise<ReplyOf<D['methods'][K]>>
}

export interface CallContext {
  traceparent?: string
  /** The process that asked, as it says. */
  from: string
  /** The service that asked, as the server's permissions vouch for. */
  service: ServiceName
  /** Aborts at the caller's deadline. */
  signal: AbortSignal
}

/** Handlers of a service's methods. What is left out is not served. They run concurrently. */
export type Handlers<D extends ServiceDefinition> = {
  readonly [K in keyof D['methods']]?: (
    request: RequestOf<D['methods'][K]>,
    context: CallContext,
  ) => Promise<ReplyOf<D['methods'][K]>>
}
