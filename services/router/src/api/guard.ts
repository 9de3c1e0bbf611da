import { setTimeout as delay } from 'node:timers/promises'
import type { CallContext, Handlers } from '@spectrum/bus'
import type { RouterDefinition } from '@spectrum/messages'
import { type FailureCode, type Logger, NetworkError } from '@spectrum/network'
import { startSpan } from '@spectrum/service-kit'
import { StoreUnavailableError } from '@spectrum/store'

/** What is told of each request that was answered. */
export interface RequestWatch {
  readonly log: Logger
  onAnswered(method: string, seconds: number): void
  onFailed(method: string, code: FailureCode): void
}

/** Requests that are being answered. */
export class OpenRequests {
  readonly #open = new Set<Promise<unknown>>()

  add<Reply>(answering: Promise<Reply>): Promise<Reply> {
    this.#open.add(answering)
    const forget = () => void this.#open.delete(answering)
    answering.then(forget, forget)
    return answering
  }

  /** Fulfils when all are answered, or the time is over. */
  async idle(limitMs: number): Promise<void> {
    const ended = new AbortController()
    const limit = delay(limitMs, undefined, { signal: ended.signal, ref: false }).catch(() => ended.signal.aborted)
    await Promise.race([Promise.allSettled(this.#open), limit])
    ended.abort()
  }
}

/**
 * Wraps each handler: measures it, traces it, and turns whatever goes wrong into a failure of the table. The database
 * being away is `unavailable`, and what was asked may be asked again.
 */
export function guarded(
  handlers: Handlers<RouterDefinition>,
  watch: RequestWatch,
  open = new OpenRequests(),
): Handlers<RouterDefinition> {
  const wrapped = Object.entries(handlers).map(([method, handler]) => {
    // What the handlers take and answer differs; it passes through here untouched.
    const handle = handler as unknown as (request: unknown, context: CallContext) => Promise<unknown>
    return [
      method,
      (request: unknown, context: CallContext) => open.add(answer(method, handle, request, context, watch)),
    ]
  })
  return Object.fromEntries(wrapped) as Handlers<RouterDefinition>
}

async function answer(
  method: string,
  handle: (request: unknown, context: CallContext) => Promise<unknown>,
  request: unknown,
  context: CallContext,
  watch: RequestWatch,
): Promise<unknown> {
  const span = startSpan(`router ${method}`, context.traceparent)
  const started = performance.now()
  try {
    const { traceparent } = span
    const reply = await span.run(() =>
      handle(request, traceparent === undefined ? context : { ...context, traceparent }),
    )
    span.end()
    return reply
  } catch (error) {
    const failure = toFailure(error)
    span.end(failure)
    watch.onFailed(method, failure.code)
    if (failure.code === 'unexpected') watch.log.error({ err: failure.cause ?? failure, method }, 'a request failed')
    else if (failure.code === 'unavailable')
      watch.log.warn({ err: failure.cause ?? failure, method }, 'a request cannot be answered now')
    throw failure
  } finally {
    watch.onAnswered(method, (performance.now() - started) / 1000)
  }
}

function toFailure(error: unknown): NetworkError {
  if (!(error instanceof StoreUnavailableError)) return NetworkError.from(error)
  return new NetworkError('unavailable', 'The gateway’s database is not available; please try again later.', {
    cause: error,
    certain: false,
  })
}
