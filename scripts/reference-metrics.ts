import { failures } from '@spectrum/network'
import { describeMetrics, dropReasons, type MetricDescription, Registry } from '@spectrum/service-kit'
import { defineFrontendMetrics } from '../services/frontend/src/metrics.ts'
import { defineRouterMetrics } from '../services/router/src/metrics.ts'
import { defineWorkerMetrics } from '../services/worker/src/metrics.ts'

/** The page on all metrics, from their declarations. */
export function metricsDocs(): string {
  const frontend = described(registry => defineFrontendMetrics(registry))
  const router = described(registry => defineRouterMetrics(registry, atRest()))
  const worker = described(registry => defineWorkerMetrics(registry, atRest()))
  const services = { frontend, router, worker }
  const isShared = ({ name }: MetricDescription) =>
    Object.values(services).every(metrics => metrics.some(metric => metric.name === name))
  const own = Object.entries(services).map(
    ([service, metrics]) => `## Of the ${service}\n\n${table(metrics.filter(metric => !isShared(metric)))}`,
  )
  return `${[
    '# Metrics',
    'Each service shows them on `/metrics` (`http.port`), with the labels `service` and `jid`, beside those of its process (`process_…`, `nodejs_…`).',
    `## Of all services\n\n${table(frontend.filter(isShared))}`,
    ...own,
    '## Reasons of `spectrum_dropped_total`',
    'Nothing is refused, suppressed or discarded without being counted there.',
    reasons(),
  ].join('\n\n')}\n`
}

function described(define: (registry: Registry) => unknown): MetricDescription[] {
  const registry = new Registry()
  define(registry)
  return describeMetrics(registry)
}

/** Gauges are only asked at a scrape, and there is none. */
const atRest = <State extends object>(): State => new Proxy({}, { get: () => () => 0 }) as State

function table(metrics: readonly MetricDescription[]): string {
  const rows = metrics.map(
    ({ name, type, labels, help }) =>
      `| \`${name}\` | ${type} | ${labels.map(label => `\`${label}\``).join(', ')} | ${cell(help)} |`,
  )
  return ['| metric | type | labels | what |', '| --- | --- | --- | --- |', ...rows].join('\n')
}

function reasons(): string {
  const rows = Object.entries(dropReasons).map(([reason, text]) => `| \`${reason}\` | ${cell(text)} |`)
  const codes = Object.keys(failures)
    .map(code => `\`${code}\``)
    .join(', ')
  return [
    ['| reason | what |', '| --- | --- |', ...rows].join('\n'),
    `A command that was answered with a failure has its code as reason: ${codes}.`,
    'Kind `refused` counts stanzas answered with an error by a frontend itself; the reason is the condition of the error (RFC 6120 section 8.3.3).',
  ].join('\n\n')
}

const cell = (text: string): string => text.replaceAll('|', '\\|')
