import { type Context, context, ROOT_CONTEXT, type Span, SpanStatusCode, type Tracer, trace } from '@opentelemetry/api'
import type { TracingOptions } from './otlp.ts'
import { fromTraceparent, toTraceparent } from './traceparent.ts'

/** One piece of work in a trace. Costs next to nothing while tracing is off. */
export interface SpanHandle {
  /**
   * W3C trace context to send along with what follows from this work; undefined when it belongs to no trace. While
   * tracing is off, that of the parent: a process that does not trace passes the context on.
   */
  readonly traceparent: string | undefined
  /** Adds what is known of the work; ids and kinds, never bodies or secrets. */
  set(attributes: Readonly<Record<string, string | number | boolean>>): void
  /** Runs `work` so that {@link currentTraceparent} and spans started in it, also later in its promises, belong to this span. */
  run<Result>(work: () => Result): Result
  /** Ends the span, as failed when there is an error. Once. */
  end(error?: unknown): void
}

/** Tracing that is switched on; disposing sends what is left, if the collector takes it, and switches it off. */
export interface Tracing extends AsyncDisposable {
  /** Sends what has ended so far. */
  flush(): Promise<void>
}

/** The one tracer of the process: items and calls are everywhere, and tracing is off or on for all of them. */
let tracer: Tracer | undefined

/**
 * Starts a span under `traceparent`; without one, under the span whose {@link SpanHandle.run} is running, else as a new
 * trace. A malformed traceparent counts as none.
 */
export function startSpan(name: string, traceparent?: string): SpanHandle {
  if (tracer === undefined) return traceparent === undefined ? unrecorded : passingOn(traceparent)
  const parent = traceparent === undefined ? undefined : fromTraceparent(traceparent)
  const under = parent ? trace.setSpanContext(ROOT_CONTEXT, parent) : context.active()
  return recorded(tracer.startSpan(name, {}, under), under)
}

/** The trace context of the span that is running, to be sent along; undefined outside of any. */
export function currentTraceparent(): string | undefined {
  if (tracer === undefined) return undefined
  const span = trace.getActiveSpan()
  return span && toTraceparent(span.spanContext())
}

/** Switches tracing on in this process. Only one at a time: rejects when it is on already. */
export async function startTracing(options: TracingOptions): Promise<Tracing> {
  // Loaded only where it is used: it costs some 20 MB.
  const { createExport } = await import('./otlp.ts')
  if (tracer !== undefined) throw new Error('tracing is on already')
  const exporting = createExport(options)
  tracer = exporting.tracer
  return {
    flush: exporting.flush,
    async [Symbol.asyncDispose]() {
      tracer = undefined
      await exporting.stop()
    },
  }
}

const unrecorded: SpanHandle = { traceparent: undefined, set() {}, run: work => work(), end() {} }

function passingOn(traceparent: string): SpanHandle {
  return { traceparent, set: unrecorded.set, run: unrecorded.run, end: unrecorded.end }
}

function recorded(span: Span, under: Context): SpanHandle {
  return {
    traceparent: toTraceparent(span.spanContext()),
    set: attributes => void span.setAttributes(attributes),
    run: work => context.with(trace.setSpan(under, span), work),
    end(error) {
      // Only the kind of error: its message may quote what a person wrote.
      if (error !== undefined) {
        span.setStatus({ code: SpanStatusCode.ERROR, message: error instanceof Error ? error.name : 'error' })
      }
      span.end()
    },
  }
}
