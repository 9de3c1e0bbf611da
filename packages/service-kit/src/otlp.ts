import { context, TraceFlags, type Tracer } from '@opentelemetry/api'
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

/** A tracer whose spans go to a collector. */
export interface Export {
  readonly tracer: Tracer
  /** Sends what has ended so far. */
  flush(): Promise<void>
  /** Sends the rest and closes. */
  stop(): Promise<void>
}

/** Builds the tracer, and makes its context follow promises in this process. */
export function createExport(options: TracingOptions): Export {
  const { endpoint, sampleRatio = 1, resource } = options
  const exporter = new OTLPTraceExporter({ url: tracesUrl(endpoint), timeoutMillis: exportTimeoutMs })
  const batches = new BatchSpanProcessor(reported(exporter, options), { exportTimeoutMillis: exportTimeoutMs })
  const provider = new BasicTracerProvider({
    resource: resourceFromAttributes(resource),
    sampler: new ParentBasedSampler({ root: new TraceIdRatioBasedSampler(sampleRatio) }),
    spanProcessors: [countEnds(options), batches],
  })
  context.setGlobalContextManager(new AsyncLocalStorageContextManager().enable())
  return {
    tracer: provider.getTracer('spectrum'),
    flush: () => provider.forceFlush(),
    async stop() {
      context.disable()
      await provider.shutdown()
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
