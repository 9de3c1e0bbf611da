/**
 * What each service's main needs: start and stop, logs, metrics, health, tracing.
 *
 * ```ts
 * await runService({ name: 'router', version, config: () => loadConfig({ argv: process.argv.slice(2) }), start: startRouter })
 * ```
 *
 * The default metrics include the event loop's lag (`nodejs_eventloop_lag_p99_seconds` and its neighbours).
 */
export { busCounter, type DeliveryMetrics, deliveryMetrics } from './delivery-metrics.ts'
export { dropReasons, reasonsOf, redeliveryReasons, type Weight, weights } from './drop-reasons.ts'
export { createLogger, type Log, type LogDestination, type LogOptions } from './log.ts'
export {
  type Counter,
  counter,
  type Declaration,
  defineMetrics,
  describeMetrics,
  type Gauge,
  gauge,
  type Histogram,
  histogram,
  type MetricDescription,
  type Metrics,
  Registry,
} from './metrics.ts'
export type { TracingOptions } from './otlp.ts'
export { type RunningService, runService, type ServiceContext, type ServiceDefinition } from './run-service.ts'
export { Standstill, type StandstillOptions } from './standstill.ts'
export { currentTraceparent, type SpanHandle, startSpan, startTracing, type Tracing } from './tracing.ts'
