/**
 * The one table of user-visible failures: what each means to an XMPP client (RFC 6120 section 8.3: error type and
 * defined condition), to a gRPC caller, and to the retry loop.
 *
 * - recovery `none`: the same request will fail again.
 * - recovery `retry`: the host may try again by itself, backing off.
 * - recovery `sign-in`: the user must give other credentials first.
 */
export const failures = {
  'not-supported': { stanza: ['cancel', 'feature-not-implemented'], grpc: 'UNIMPLEMENTED', recovery: 'none' },
  'not-found': { stanza: ['cancel', 'item-not-found'], grpc: 'NOT_FOUND', recovery: 'none' },
  'not-allowed': { stanza: ['auth', 'forbidden'], grpc: 'PERMISSION_DENIED', recovery: 'none' },
  'not-authorized': { stanza: ['auth', 'not-authorized'], grpc: 'PERMISSION_DENIED', recovery: 'none' },
  'not-acceptable': { stanza: ['modify', 'not-acceptable'], grpc: 'INVALID_ARGUMENT', recovery: 'none' },
  'bad-request': { stanza: ['modify', 'bad-request'], grpc: 'INVALID_ARGUMENT', recovery: 'none' },
  'bad-address': { stanza: ['modify', 'jid-malformed'], grpc: 'INVALID_ARGUMENT', recovery: 'none' },
  'too-large': { stanza: ['modify', 'policy-violation'], grpc: 'INVALID_ARGUMENT', recovery: 'none' },
  conflict: { stanza: ['cancel', 'conflict'], grpc: 'ALREADY_EXISTS', recovery: 'none' },
  'not-joined': { stanza: ['modify', 'not-acceptable'], grpc: 'FAILED_PRECONDITION', recovery: 'none' },
  'members-only': { stanza: ['auth', 'registration-required'], grpc: 'PERMISSION_DENIED', recovery: 'none' },
  'room-full': { stanza: ['wait', 'service-unavailable'], grpc: 'RESOURCE_EXHAUSTED', recovery: 'none' },
  'not-registered': { stanza: ['auth', 'registration-required'], grpc: 'FAILED_PRECONDITION', recovery: 'sign-in' },
  'signed-out': { stanza: ['wait', 'recipient-unavailable'], grpc: 'FAILED_PRECONDITION', recovery: 'none' },
  'wrong-credentials': { stanza: ['auth', 'not-authorized'], grpc: 'UNAUTHENTICATED', recovery: 'sign-in' },
  gone: { stanza: ['cancel', 'recipient-unavailable'], grpc: 'NOT_FOUND', recovery: 'none' },
  'rate-limited': { stanza: ['wait', 'resource-constraint'], grpc: 'RESOURCE_EXHAUSTED', recovery: 'retry' },
  unreachable: { stanza: ['wait', 'remote-server-timeout'], grpc: 'UNAVAILABLE', recovery: 'retry' },
  unavailable: { stanza: ['wait', 'service-unavailable'], grpc: 'UNAVAILABLE', recovery: 'retry' },
  unexpected: { stanza: ['wait', 'internal-server-error'], grpc: 'INTERNAL', recovery: 'retry' },
} as const satisfies Record<
  string,
  { stanza: readonly [string, string]; grpc: string; recovery: 'none' | 'retry' | 'sign-in' }
>

export type FailureCode = keyof typeof failures

/** True for a code of the table; what comes off the wire is checked with it. */
export const isFailureCode = (code: string): code is FailureCode => Object.hasOwn(failures, code)

/** A failure with a code of the table. The message is for the user, the cause for the log. */
export class NetworkError extends Error {
  override name = 'NetworkError'
  readonly code: FailureCode
  /** False when the request may have taken effect all the same: nobody may resend it blindly. */
  readonly certain: boolean

  constructor(code: FailureCode, message: string, options: { cause?: unknown; certain?: boolean } = {}) {
    super(message, { cause: options.cause })
    this.code = code
    this.certain = options.certain ?? true
  }

  /** The single door for whatever was thrown: a NetworkError stays, all else becomes `unexpected` with the cause kept. */
  static from(reason: unknown): NetworkError {
    if (reason instanceof NetworkError) return reason
    return new NetworkError('unexpected', 'The gateway failed to handle this.', { cause: reason, certain: false })
  }
}
