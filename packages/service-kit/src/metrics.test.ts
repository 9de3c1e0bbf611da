import assert from 'node:assert/strict'
import { test } from 'node:test'
import { counter, defineMetrics, gauge, histogram, Registry } from './metrics.ts'
import { defineProcessMetrics } from './process-metrics.ts'

test('metrics declared together are shown with their prefix, help and labels', async () => {
  const registry = new Registry()
  const metrics = defineMetrics(registry, {
    refused: counter('stanzas_refused_total', 'Stanzas that were refused.', ['reason']),
    sessions: gauge('sessions', 'Live sessions.', [], () => 7),
    handled: histogram('handling_seconds', 'Time to handle.', ['kind'], [0.1, 1]),
  })
  metrics.refused.inc({ reason: 'too-big' })
  // @ts-expect-error a label that was not declared
  assert.throws(() => metrics.refused.inc({ raeson: 'x' }))
  metrics.handled.observe({ kind: 'message' }, 0.5)
  const text = await registry.metrics()
  assert.match(text, /# HELP spectrum_stanzas_refused_total Stanzas that were refused\./)
  assert.match(text, /spectrum_stanzas_refused_total\{reason="too-big"\} 1/)
  assert.match(text, /spectrum_sessions 7/)
  assert.match(text, /spectrum_handling_seconds_bucket\{le="0.1",kind="message"\} 0/)
})

test('a wrong name or no help is refused', () => {
  const registry = new Registry()
  assert.throws(() => defineMetrics(registry, { a: gauge('spectrum_twice', 'Help.') }), TypeError)
  assert.throws(() => defineMetrics(registry, { a: gauge('camelCase', 'Help.') }), TypeError)
  assert.throws(() => defineMetrics(registry, { a: gauge('fine', '') }), TypeError)
  // @ts-expect-error a counter's name ends in _total
  defineMetrics(registry, { a: counter('lines', 'Lines.') })
})

test('every process shows its build, its event loop and its accidents', async () => {
  const registry = new Registry()
  defineProcessMetrics(registry, { version: '1.2.3' })
  const text = await registry.metrics()
  assert.ok(text.includes(`spectrum_build_info{version="1.2.3",node="${process.versions.node}"} 1`))
  assert.match(text, /nodejs_eventloop_lag_p99_seconds/)
  assert.match(text, /spectrum_uncaught_errors_total/)
})

test('a gauge that has nothing to say is absent, not 0', async () => {
  const registry = new Registry()
  let value: number | undefined
  defineMetrics(registry, { wanted: gauge('wanted', 'What is wanted.', [], () => value) })
  assert.doesNotMatch(await registry.metrics(), /^spectrum_wanted /m)
  value = 3
  assert.match(await registry.metrics(), /^spectrum_wanted 3$/m)
  value = undefined
  assert.doesNotMatch(await registry.metrics(), /^spectrum_wanted /m)
})
