import { collectDefaultMetrics } from 'prom-client'
import { counter, defineMetrics, gauge, type Registry } from './metrics.ts'

/** What is measured of every service: the process, its event loop, its version, its own accidents. */
export function defineProcessMetrics(registry: Registry, build: { version: string }) {
  collectDefaultMetrics({ register: registry })
  const metrics = defineMetrics(registry, {
    buildInfo: gauge('build_info', 'Always 1; the labels say what runs.', ['version', 'node']),
    uncaughtErrors: counter('uncaught_errors_total', 'Errors that nobody caught; each ends the process.', ['origin']),
    spans: counter('spans_total', 'Recorded spans: ended, sent to the collector, or failed to be sent.', ['result']),
  })
  metrics.buildInfo.set({ version: build.version, node: process.versions.node }, 1)
  return metrics
}
