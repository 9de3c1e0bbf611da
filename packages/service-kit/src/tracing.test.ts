import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { json } from 'node:stream/consumers'
import { test } from 'node:test'
import { setImmediate as turn } from 'node:timers/promises'
import { currentTraceparent, startSpan, startTracing } from './tracing.ts'

interface ReceivedSpan {
  name: string
  traceId: string
  spanId: string
  parentSpanId?: string
  status: { code?: number; message?: string }
  attributes: { key: string; value: unknown }[]
}

interface Received {
  resourceSpans: {
    resource: { attributes: { key: string; value: { stringValue?: string } }[] }
    scopeSpans: { spans: ReceivedSpan[] }[]
  }[]
}

/** A collector that keeps what it was sent (OTLP/HTTP with JSON). */
async function startCollector(status = 200) {
  const requests: { path: string | undefined; body: Received }[] = []
  const server = createServer(async (request, response) => {
    requests.push({ path: request.url, body: (await json(request)) as Received })
    response.writeHead(status, { 'content-type': 'application/json' }).end('{}')
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    requests,
    spans: () =>
      requests.flatMap(({ body }) =>
        body.resourceSpans.flatMap(({ scopeSpans }) => scopeSpans.flatMap(({ spans }) => spans)),
      ),
    async [Symbol.asyncDispose]() {
      server.close()
      server.closeAllConnections()
      await once(server, 'close')
    },
  }
}

const remote = `00-${'a'.repeat(32)}-${'b'.repeat(16)}-01`

test('without a collector there is no trace, and what came in is passed on', () => {
  assert.equal(startSpan('work').traceparent, undefined)
  assert.equal(startSpan('work', remote).traceparent, remote)
  assert.equal(
    startSpan('work', remote).run(() => currentTraceparent()),
    undefined,
  )
})

test('without a collector a span costs less than 100 ns', () => {
  const rounds = 200_000
  const batch = (traceparent?: string) => {
    const started = process.hrtime.bigint()
    for (let round = 0; round < rounds; round++) startSpan('work', traceparent).end()
    return Number(process.hrtime.bigint() - started) / rounds
  }
  // The best of several batches: the figure is the call's own cost, not that of a busy machine.
  for (const traceparent of [undefined, remote]) {
    const best = Math.min(...Array.from({ length: 15 }, () => batch(traceparent)))
    assert.ok(best < 100, `${best.toFixed(1)} ns`)
  }
})

test('spans reach the collector under their parents, across promises', async () => {
  await using collector = await startCollector()
  const counts: Record<string, number> = {}
  const tracing = await startTracing({
    endpoint: collector.url,
    resource: { 'service.name': 'spectrum-worker' },
    onSpans: (result, count) => {
      counts[result] = (counts[result] ?? 0) + count
    },
  })
  await assert.rejects(startTracing({ endpoint: collector.url, resource: {} }), /on already/)
  const outer = startSpan('receive', remote)
  await outer.run(async () => {
    await turn()
    assert.equal(currentTraceparent(), outer.traceparent)
    const inner = startSpan('send')
    inner.set({ backend: 3 })
    inner.end(new RangeError('what somebody wrote'))
  })
  outer.end()
  assert.equal(currentTraceparent(), undefined)
  await tracing[Symbol.asyncDispose]()

  assert.deepEqual(counts, { ended: 2, sent: 2 })
  assert.deepEqual(
    collector.requests.map(({ path }) => path),
    ['/v1/traces'],
  )
  const [send, receive] = collector.spans().toSorted((a, b) => b.name.localeCompare(a.name))
  assert.ok(send && receive)
  assert.equal(receive.name, 'receive')
  assert.equal(receive.parentSpanId, 'b'.repeat(16))
  assert.equal(send.traceId, 'a'.repeat(32))
  assert.equal(send.parentSpanId, receive.spanId)
  assert.deepEqual(send.status, { code: 2, message: 'RangeError' })
  assert.deepEqual(send.attributes, [{ key: 'backend', value: { intValue: 3 } }])
  const resource = collector.requests[0]?.body.resourceSpans[0]?.resource.attributes
  assert.ok(resource?.some(({ key, value }) => key === 'service.name' && value.stringValue === 'spectrum-worker'))
  assert.equal(startSpan('after').traceparent, undefined, 'tracing is off again')
})

test('what the collector does not take is counted and told', async () => {
  await using collector = await startCollector(400)
  const counts: Record<string, number> = {}
  const failures: unknown[] = []
  const tracing = await startTracing({
    onFailure: error => failures.push(error),
    endpoint: `${collector.url}/custom/path`,
    resource: {},
    onSpans: (result, count) => {
      counts[result] = (counts[result] ?? 0) + count
    },
  })
  startSpan('work').end()
  await tracing[Symbol.asyncDispose]()
  assert.deepEqual(counts, { ended: 1, failed: 1 })
  assert.match(String(failures), /Bad Request/)
  assert.equal(collector.requests[0]?.path, '/custom/path')
})

test('a trace that others do not record, and a ratio of 0, record nothing but pass the context on', async () => {
  await using collector = await startCollector()
  const tracing = await startTracing({ endpoint: collector.url, resource: {}, sampleRatio: 0 })
  const unsampled = startSpan('work', remote.replace(/01$/, '00'))
  assert.match(unsampled.traceparent ?? '', /^00-a{32}-[0-9a-f]{16}-00$/)
  unsampled.end()
  startSpan('work').end()
  startSpan('followed', remote).end()
  await tracing[Symbol.asyncDispose]()
  assert.deepEqual(
    collector.spans().map(({ name }) => name),
    ['followed'],
  )
})

test('a collector that is away does not hold up the end', async () => {
  const counts: Record<string, number> = {}
  const tracing = await startTracing({
    endpoint: 'http://127.0.0.1:9',
    resource: {},
    onSpans: (result, count) => {
      counts[result] = count
    },
  })
  startSpan('work').end()
  const started = performance.now()
  await tracing[Symbol.asyncDispose]()
  assert.ok(performance.now() - started < 15_000)
  assert.deepEqual(counts, { ended: 1, failed: 1 })
})
