import { type Counter, counter, type Declaration } from './metrics.ts'

/**
 * What the three services count alike, under the same names: everything that was refused, suppressed or discarded, what
 * was delivered again, and what else the bus counts. No label ever holds a user, a room or a text.
 */
export const deliveryMetrics = {
  dropped: counter(
    'dropped_total',
    'What was refused, suppressed or discarded, by kind (stanza, event, command, network, bus or the kind of command or event) and reason.',
    ['kind', 'reason'],
  ),
  redelivered: counter(
    'redelivered_total',
    'What was handed on or written a second time because nobody had confirmed the first, by kind and reason.',
    ['kind', 'reason'],
  ),
  bus: counter('bus_total', 'What the bus counts, by name and reason.', ['what', 'reason']),
} satisfies Record<string, Declaration<unknown>>

/** The counters of {@link deliveryMetrics}, registered. */
export interface DeliveryMetrics {
  readonly dropped: Counter<'kind' | 'reason'>
  readonly redelivered: Counter<'kind' | 'reason'>
  readonly bus: Counter<'what' | 'reason'>
}

const droppedByBus = new Set(['bus_dropped', 'bus_refused', 'bus_dead'])

/** The `count` option of the bus: its refusals and drops are counted with all others, as is what it delivers again. */
export function busCounter(metrics: DeliveryMetrics) {
  return (what: string, labels: Record<string, string>, value = 1): void => {
    const reason = labels.reason ?? ''
    metrics.bus.inc({ what, reason }, value)
    if (droppedByBus.has(what)) metrics.dropped.inc({ kind: 'bus', reason }, value)
    else if (what === 'bus_redelivered')
      metrics.redelivered.inc({ kind: 'bus', reason: reason || 'not-recorded' }, value)
  }
}
