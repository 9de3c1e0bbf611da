import {
  type Context,
  context,
  ROOT_CONTEXT,
  type Span,
  SpanStatusCode,
  TraceFlags,
  type Tracer,
  trace,
} from '@opentelemetry/api'
import { AsyncLocalStorageContextManager } from '@opentelemetry/context-async-hooks'
import { ExportResultCode } from '@opentelemetry/core'
import { OTLPTraceExporter } from '@opentelemetry/exporter-trace-otlp-http'
import { resourceFromAttributes } from '@opentelemetry/resources'
import {
  BasicTracerProvider,
  BatchSpanProcessor,
  ParentBasedSampler,
  type SpanExporter,
  type SpanProcessor,
  TraceIdRatioBasedSampler,
} from '@opentelemetry/sdk-trace-base'
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

export interface TracingOptions {
  /** OTLP/HTTP collector; without a path, `/v1/traces` is added. */
  readonly endpoint: string
  /** Share of new traces that is recorded, 0–1. Default 1. */
  readonly sampleRatio?: number
  /** What the spans say of their process: `service.name`, `service.version` … */
  readonly resource: Readonly<Record<string, string>>
  /**
   * Counts recorded spans: each as `ended`, later as `sent`, or as `failed` when the collector did not take it. What is
   * missing between them was dropped because too many waited.
   */
  readonly onSpans?: (result: 'ended' | 'sent' | 'failed', count: number) => void
  /** Told why spans could not be sent, at most once for each batch. */
  readonly onFailure?: (error: unknown) => void
}

/** How long the collector may take for a batch, retries included: also the most that switching tracing off can last. */
const exportTimeoutMs = 3_000

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

/** Switches tracing on in this process. Only one at a time: throws when it is on already. */
export function startTracing(options: TracingOptions): Tracing {
  if (tracer !== undefined) throw new Error('tracing is on already')
  const { endpoint, sampleRatio = 1, resource } = options
  const exporter = new OTLPTraceExporter({ url: tracesUrl(endpoint), timeoutMillis: exportTimeoutMs })
  const batches = new BatchSpanProcessor(reported(exporter, options), { exportTimeoutMillis: exportTimeoutMs })
  const provider = new BasicTracerProvider({
    resource: resourceFromAttributes(resource),
    sampler: new ParentBasedSampler({ root: new TraceIdRatioBasedSampler(sampleRatio) }),
    spanProcessors: [countEnds(options), batches],
  })
  const manager = new AsyncLocalStorageContextManager().enable()
  context.setGlobalContextManager(manager)
  tracer = provider.getTracer('spectrum')
  return {
    flush: () => provider.forceFlush(),
    async [Symbol.asyncDispose]() {
      tracer = undefined
      context.disable()
      await provider.shutdown()
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

function countEnds({ onSpans }: TracingOptions): SpanProcessor {
  return {
    onStart() {},
    onEnd: span => {
      if (span.spanContext().traceFlags & TraceFlags.SAMPLED) onSpans?.('ended', 1)
    },
    forceFlush: async () => {},
    shutdown: async () => {},
  }
}

/** Tells of every batch what became of it, and the processor that all is well: it could only throw the failure elsewhere. */
function reported(exporter: SpanExporter, { onSpans, onFailure }: TracingOptions): SpanExporter {
  return {
    export: (spans, done) =>
      exporter.export(spans, ({ code, error }) => {
        const isSent = code === ExportResultCode.SUCCESS
        onSpans?.(isSent ? 'sent' : 'failed', spans.length)
        if (!isSent) onFailure?.(error)
        done({ code: ExportResultCode.SUCCESS })
      }),
    forceFlush: async () => exporter.forceFlush?.(),
    shutdown: () => exporter.shutdown(),
  }
}

function tracesUrl(endpoint: string): string {
  const url = new URL(endpoint)
  if (url.pathname === '/') url.pathname = '/v1/traces'
  return url.href
}
