import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer } from 'node:http'
import { test } from 'node:test'
import { Child, freePort } from './child.ts'

const flags = ['--service.jid=irc.example.org', '--service.backend=irc']
const runs = 'the service runs'

test('health, readiness and metrics are served over HTTP', async () => {
  const port = await freePort()
  await using child = new Child('drains', [...flags, `--http.port=${port}`])
  await child.line(runs)
  const get = (path: string, method = 'GET') => fetch(`http://127.0.0.1:${port}${path}`, { method })
  assert.equal((await get('/healthz')).status, 200)
  const early = await get('/readyz')
  assert.deepEqual([early.status, await early.text()], [503, 'the bus is away\n'])
  const later = await get('/readyz?verbose')
  assert.deepEqual([later.status, await later.text()], [200, 'ready\n'])
  const metrics = await get('/metrics')
  assert.match(metrics.headers.get('content-type') ?? '', /^text\/plain/)
  const text = await metrics.text()
  assert.match(
    text,
    /spectrum_build_info\{version="1\.2\.3",node="[\d.]+",service="router",jid="irc\.example\.org"\} 1/,
  )
  assert.match(text, /nodejs_eventloop_lag_p99_seconds/)
  assert.equal((await get('/')).status, 404)
  assert.equal((await get('/metrics', 'POST')).status, 405)
  const head = await get('/healthz', 'HEAD')
  assert.deepEqual([head.status, await head.text()], [200, ''])
})

for (const signal of ['SIGTERM', 'SIGINT'] as const) {
  test(`${signal} drains the service and the process ends with 0`, async () => {
    await using child = new Child('drains', [...flags, `--http.port=${await freePort()}`])
    await child.line(runs)
    child.kill(signal)
    assert.equal((await child.line('draining')).signal, signal)
    child.kill(signal)
    assert.deepEqual(await child.ended(), { code: 0, signal: null })
    const sentences = child.lines.map(({ msg }) => msg)
    assert.deepEqual(sentences.slice(-3), ['draining', 'handed over', 'stopped'])
    assert.equal(child.stderr, '')
  })
}

test('a service that hangs while draining is given up, named and ended', async () => {
  await using child = new Child('hangs')
  await child.line(runs)
  const started = performance.now()
  child.kill('SIGTERM')
  assert.deepEqual(await child.ended(), { code: null, signal: 'SIGKILL' })
  assert.ok(performance.now() - started >= 1_500)
  const late = await child.line('draining took too long and is given up')
  assert.equal(late.step, 'service')
  const killed = await child.line('the process does not end by itself and is killed')
  assert.ok((killed.open as Record<string, number>).Timeout)
})

test('one that hangs with nothing open ends by itself, with 1', async () => {
  await using child = new Child('hangsIdle')
  await child.line(runs)
  child.kill('SIGTERM')
  assert.deepEqual(await child.ended(), { code: 1, signal: null })
  assert.equal((await child.line('stopped')).exitCode, 1)
})

test('one that leaves something open after draining is ended when its time is over', async () => {
  await using child = new Child('leaks')
  await child.line(runs)
  child.kill('SIGTERM')
  assert.deepEqual(await child.ended(), { code: null, signal: 'SIGKILL' })
  await child.line('the process does not end by itself and is killed')
})

test('a failure to close is logged and the process ends with 1', async () => {
  await using child = new Child('failsToClose')
  await child.line(runs)
  child.kill('SIGTERM')
  assert.deepEqual(await child.ended(), { code: 1, signal: null })
  const line = await child.line('closing failed')
  assert.equal((line.err as Error).message, 'the lane did not close')
})

test('a failure to start is logged and the process ends with 1', async () => {
  await using child = new Child('failsToStart')
  assert.deepEqual(await child.ended(), { code: 1, signal: null })
  const line = await child.line('the service could not start')
  assert.equal((line.err as Error).message, 'the bus refused')
})

test('a port that is taken is a failure to start', async () => {
  const taken = createServer().listen(0, '127.0.0.1')
  await once(taken, 'listening')
  const address = taken.address()
  assert.ok(typeof address === 'object' && address)
  await using child = new Child('drains', [...flags, `--http.port=${address.port}`])
  assert.deepEqual(await child.ended(), { code: 1, signal: null })
  assert.match(((await child.line('the service could not start')).err as Error).message, /EADDRINUSE/)
  taken.close()
})

test('a process asked to stop while it starts gives up and ends with 0', async () => {
  await using child = new Child('startsSlowly')
  await child.line('waiting for the bus')
  child.kill('SIGTERM')
  assert.deepEqual(await child.ended(), { code: 0, signal: null })
  await child.line('the start was given up')
})

for (const behaviour of ['throws', 'rejects']) {
  test(`a service that ${behaviour} where nobody catches is logged and ends with 1`, async () => {
    await using child = new Child(behaviour)
    assert.deepEqual(await child.ended(), { code: 1, signal: null })
    const line = await child.line('an error was not caught and ends the process')
    assert.equal((line.err as Error).message, 'an accident')
  })
}

test('a readiness that throws is answered and logged, and harms nobody', async () => {
  const port = await freePort()
  await using child = new Child('brokenReadiness', [...flags, `--http.port=${port}`])
  await child.line(runs)
  assert.equal((await fetch(`http://127.0.0.1:${port}/readyz`)).status, 500)
  await child.line('a health request failed')
  assert.equal((await fetch(`http://127.0.0.1:${port}/healthz`)).status, 200)
})

test('mistakes in the configuration are printed line by line and end the process with 78', async () => {
  await using child = new Child('drains', ['--service.jid=a@b', '--service.port=x', '--service.password=hunter2'])
  assert.deepEqual(await child.ended(), { code: 78, signal: null })
  assert.deepEqual(child.stderr.split('\n'), [
    'The configuration cannot be used:',
    '  --service.port: must be a whole number',
    '  --service.jid: must be a domain such as irc.example.org, without @ and /',
    '  configuration: service.backend: must name a network (irc, parrot)',
    '',
  ])
})

test('warnings of the configuration are logged', async () => {
  await using child = new Child('drains', [...flags, '--service.more_resources=1'])
  const line = await child.line('a setting is not used as written')
  assert.equal(line.finding, '--service.more_resources: is not acted on yet')
})

test('spans leave before the process ends, also when the collector is away', async () => {
  await using child = new Child('drains', [...flags, '--tracing.otlp_endpoint=http://127.0.0.1:9'])
  await child.line(runs)
  child.kill('SIGTERM')
  assert.deepEqual(await child.ended(), { code: 0, signal: null })
})
