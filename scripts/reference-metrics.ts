import { failures } from '@spectrum/network'
import {
  describeMetrics,
  dropReasons,
  type MetricDescription,
  Registry,
  reasonsOf,
  redeliveryReasons,
  type Weight,
  weights,
} from '@spectrum/service-kit'
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
    'Nothing is refused, suppressed or discarded without being counted there; most of it is part of the work. Worth an alarm is what users miss, and what should never be:',
    `\`\`\`promql\n${alarm(['lost', 'fault'])}\n\`\`\``,
    'The second half sees the first time that a reason occurs, for which there is nothing to compare with. For the reasons of a full bus, and of attacks, put theirs in the place of these, with a threshold.',
    reasons(),
    '## Reasons of `spectrum_redelivered_total`',
    'What may have been handed on already and was handed on again, as nobody had confirmed it. None of it is lost; it rises with each restart or death of a process, and rising without one means that a connection breaks again and again (`spectrum_frontend_streams_lost_total`).',
    list('reason', redeliveryReasons),
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
  const tables = Object.entries(weights).flatMap(([weight, meaning]) => [
    `### ${weight}`,
    meaning,
    list('reason', Object.fromEntries(reasonsOf(weight as Weight).map(reason => [reason, dropReasons[reason] ?? '']))),
  ])
  const codes = Object.keys(failures)
    .map(code => `\`${code}\``)
    .join(', ')
  return [
    ...tables,
    `A command that was answered with a failure has its code as reason, and its sender was told: ${codes}. Of these \`unexpected\` is our own fault.`,
    'Kind `refused` counts stanzas answered with an error by a frontend itself; the reason is the condition of the error (RFC 6120 section 8.3.3).',
  ].join('\n\n')
}

/** Counts that went up within ten minutes, and those that were not there ten minutes ago. */
function alarm(which: readonly Weight[]): string {
  const series = `spectrum_dropped_total{reason=~"${[...which.flatMap(reasonsOf), 'unexpected'].join('|')}"}`
  return `sum by (service, reason) (\n  increase(${series}[10m]) > 0\n  or\n  ${series} unless ${series} offset 10m\n)`
}

function list(name: string, entries: Readonly<Record<string, string>>): string {
  const rows = Object.entries(entries).map(([word, text]) => `| \`${word}\` | ${cell(text)} |`)
  return [`| ${name} | what |`, '| --- | --- |', ...rows].join('\n')
}

const cell = (text: string): string => text.replaceAll('|', '\\|')
