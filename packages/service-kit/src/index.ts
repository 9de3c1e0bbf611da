/**
 * What each service's main needs: start and stop, logs, metrics, health, tracing.
 *
 * ```ts
 * await runService({ name: 'router', version, config: () => loadConfig({ argv: process.argv.slice(2) }), start: startRouter })
 * ```
 *
 * The default metrics include the event loop's lag (`nodejs_eventloop_lag_p99_seconds` and its neighbours).
 */
export { createLogger, type Log, type LogDestination, type LogOptions } from './log.ts'
export {
  type Counter,
  counter,
  type Declaration,
  defineMetrics,
  type Gauge,
  gauge,
  type Histogram,
  histogram,
  type Metrics,
  Registry,
} from './metrics.ts'
export type { TracingOptions } from './otlp.ts'
export { type RunningService, runService, type ServiceContext, type ServiceDefinition } from './run-service.ts'
export { currentTraceparent, type SpanHandle, startSpan, startTracing, type Tracing } from './tracing.ts'
