import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { connect } from '@nats-io/transport-node'
import { Placement, RouterDefinition } from '@spectrum/messages'
import { NetworkError } from '@spectrum/network'
import { ConflictError, commandLane, type Entry, instanceTopic, leaderResource, placementKey } from '../src/index.ts'
import { bucketStream, bucketSubject, heartbeatKey, jetStreamApi } from '../src/subjects.ts'
import { startServer, type TestServer } from './nats-server.ts'
import { instance, lineCodec, openBus, type TestBus } from './test-bus.ts'
import { until } from './until.ts'

let server: TestServer
before(async () => {
  server = await startServer()
})
after(() => server[Symbol.asyncDispose]())

test('a table creates, compares and sets, deletes, lists', async () => {
  await using router = await openBus(server.url, { service: 'router' })
  const table = router.bus.table<{ n: number }>('placements')
  const key = placementKey(instance, 'romeo@montague.example')
  assert.equal(await table.get(key), undefined)
  const first = await table.create(key, { n: 1 })
  await assert.rejects(table.create(key, { n: 2 }), ConflictError)
  const second = await table.update(key, { n: 2 }, first)
  await assert.rejects(table.update(key, { n: 3 }, first), ConflictError)
  assert.deepEqual(await table.get(key), { key, value: { n: 2 }, revision: second })
  await assert.rejects(table.delete(key, first), ConflictError)
  await table.delete(key, second)
  assert.equal(await table.get(key), undefined)
  await table.create(key, { n: 4 })
  assert.equal((await table.get(key))?.value.n, 4)
  for (let n = 0; n < 2500; n++) await table.put(`list.${n}`, { n })
  await table.delete('list.7')
  const listed: number[] = []
  for await (const entry of table.list('list.')) listed.push(entry.value.n)
  assert.deepEqual(
    listed,
    Array.from({ length: 2500 }, (_, n) => n).filter(n => n !== 7),
  )
  const none: unknown[] = []
  for await (const entry of table.list('nobody.')) none.push(entry)
  assert.deepEqual(none, [])
})

test('records that may be stale are got directly: found, missing, deleted, a thousand at once', async () => {
  await using router = await openBus(server.url, { service: 'router' })
  const table = router.bus.table<{ n: number }>('placements')
  const keys = Array.from({ length: 1000 }, (_, n) => placementKey(instance, `direct${n}@montague.example`))
  const revisions = await Promise.all(keys.map((key, n) => table.put(key, { n })))
  const [key = ''] = keys
  assert.deepEqual(await table.get(key, { mayBeStale: true }), { key, value: { n: 0 }, revision: revisions[0] })
  assert.equal(await table.get(`${key}none`, { mayBeStale: true }), undefined)
  const p99s: number[] = []
  const deadline = performance.now() + 20_000
  // The promise is 20 ms on a quiet machine: 18 to 46 ms were seen at load average 5 on two cores, where the leader's answers
  // took 29 to 83. Other work shows in most rounds, so the best one tells.
  while (!p99s.some(ms => ms < 100) && performance.now() < deadline) {
    const begun = performance.now()
    const took = async (key: string, n: number) => {
      assert.equal((await table.get(key, { mayBeStale: true }))?.value.n, n)
      return performance.now() - begun
    }
    const times = await Promise.all(keys.map(took))
    p99s.push(times.sort((a, b) => a - b)[989] ?? 0)
  }
  assert.ok(Math.min(...p99s) < 100, `p99 of 1,000 reads at once: ${p99s.map(ms => ms.toFixed(1))} ms`)
  await table.delete(key)
  assert.equal(await table.get(key, { mayBeStale: true }), undefined)
})

test('records that nobody can read are counted, and as good as none: who lives, who owns, and how far lanes are', async () => {
  await using own = await startServer()
  await using nc = await connect({ port: own.port })
  await using router = await openBus(own.url, { service: 'router' })
  const resource = leaderResource(instance)
  const lane = commandLane(instance, 1)
  const held = `backend.${lane.key}`
  await using worker = await openBus(own.url)
  await until(() => router.bus.owners.processes('worker').length === 1)
  const read = (of: TestBus) => of.counts.get('bus_dropped undecodable-record heartbeats') ?? 0
  const forms = [
    'null',
    '{}',
    '[]',
    '7',
    '"text"',
    '{"process":null}',
    'x{',
    '',
    '{"epoch":"1","process":"w","low":-1}',
  ]
  for (const [index, form] of forms.entries()) {
    for (const key of [`worker.odd${index}`, heartbeatKey('worker', worker.bus.processId)])
      nc.publish(bucketSubject('heartbeats', key), form)
    nc.publish(bucketSubject('owners', resource), form)
    nc.publish(bucketSubject('owners', held), form)
    nc.publish(bucketSubject('cursors', lane.key), form)
    await nc.flush()
    await until(() => read(router) >= 2 * (index + 1))
    const leader = await router.bus.owners.acquire(resource)
    assert.ok(leader, `nobody leads after ${form}`)
    await leader.release()
    const ownership = await worker.bus.owners.acquire(held)
    assert.ok(ownership, `nobody owns the lane after ${form}`)
    const got: number[] = []
    const consumer = await worker.bus.consume(lane, lineCodec, ownership, {
      onItem: delivery => {
        got.push(delivery.item.n)
        delivery.finish()
      },
      onLost: () => undefined,
    })
    router.bus.publisher(lane, lineCodec).publish({ user: 'u', n: index })
    await until(() => got.includes(index))
    await until(() => consumer.unfinished === 0)
    await consumer.committed()
    await ownership.release()
  }
  assert.deepEqual(
    [...router.logs, ...worker.logs]
      .filter(({ level }) => level === 'error')
      .map(({ message }) => message)
      .filter(message => message !== 'a record cannot be decoded'),
    [],
  )
  // It beats on.
  await until(() => router.bus.owners.processes('worker').length === 1)
})

test('a bucket that allows no direct reading is read all the same', async () => {
  await using bare = await startServer()
  const nc = await connect({ port: bare.port })
  const config = {
    name: bucketStream('placements'),
    subjects: [bucketSubject('placements', '>')],
    max_msgs_per_subject: 1,
  }
  await nc.request(jetStreamApi.streamCreate(config.name), JSON.stringify(config), { timeout: 5000 })
  await nc.close()
  await using router = await openBus(bare.url, { service: 'router' })
  const table = router.bus.table<number>('placements')
  assert.equal(await table.get('x', { mayBeStale: true }), undefined)
  const revision = await table.put('x', 1)
  assert.deepEqual(await table.get('x', { mayBeStale: true }), { key: 'x', value: 1, revision })
})

test('a direct read outlives a short loss of the connection', async () => {
  await using lone = await startServer()
  await using router = await openBus(lone.url, { service: 'router' })
  const table = router.bus.table<number>('placements')
  await table.put('x', 1)
  process.kill(lone.pid, 'SIGSTOP')
  const asked = table.get('x', { mayBeStale: true })
  await lone.kill()
  await lone.start()
  assert.equal((await asked)?.value, 1)
})

test('a watch tells what is there, then changes, over a restart of the server', async () => {
  await using router = await openBus(server.url, { service: 'router' })
  await using other = await openBus(server.url, { service: 'router' })
  const table = router.bus.table<number>('backends')
  await table.put('w.1', 1)
  const seen: [string, number | undefined][] = []
  using _watch = await other.bus.table<number>('backends').watch('w.', (key, entry: Entry<number> | undefined) => {
    seen.push([key, entry?.value])
  })
  assert.deepEqual(seen, [['w.1', 1]])
  await table.put('w.2', 2)
  await table.delete('w.1')
  await table.put('elsewhere.1', 9)
  await until(() => seen.length === 3)
  await server.kill()
  await until(() => !router.bus.isConnected && !other.bus.isConnected)
  await server.start()
  await until(() => router.bus.isConnected)
  await table.put('w.3', 3)
  await until(() => seen.length === 4)
  assert.deepEqual(seen.slice(1), [
    ['w.2', 2],
    ['w.1', undefined],
    ['w.3', 3],
  ])
})

test('requests: replies, failures, unexpected errors, nobody there, time-outs, targets', async () => {
  await using router = await openBus(server.url, { service: 'router' })
  await using frontend = await openBus(server.url, { service: 'frontend' })
  const client = frontend.bus.client(RouterDefinition)
  const request = { user: 'romeo@montague.example', nickHint: '' }
  await assert.rejects(client.login(request), (error: NetworkError) => {
    assert.equal(error.code, 'unavailable')
    assert.equal(error.certain, true)
    return true
  })
  using _serving = router.bus.serve(RouterDefinition, {
    login: async ({ user }, { traceparent, from, service }) => {
      assert.equal(from, frontend.bus.processId)
      assert.equal(service, 'frontend')
      if (user === 'slow') await new Promise(resolve => setTimeout(resolve, 400))
      if (user === 'bug') throw new TypeError('a bug')
      if (user === 'no') throw new NetworkError('not-registered', 'Bitte zuerst registrieren: größer\nals')
      return Placement.create({ backend: Number(traceparent ?? 0), generation: user.length, state: 2 })
    },
  })
  await router.bus.table('keys').get('x') // the subscription has reached the server
  assert.deepEqual(await client.login(request, { traceparent: '7' }), {
    backend: 7,
    generation: 22,
    state: 2,
    movedFrom: undefined,
  })
  await assert.rejects(client.login({ ...request, user: 'no' }), {
    code: 'not-registered',
    message: 'Bitte zuerst registrieren: größer\nals',
  })
  await assert.rejects(client.login({ ...request, user: 'bug' }), { code: 'unexpected', certain: false })
  const logged = router.logs.find(entry => entry.level === 'error')?.fields as { err: Error }
  assert.match(String(logged.err.stack), /a bug/)
  await assert.rejects(client.login({ ...request, user: 'slow' }, { timeoutMs: 50 }), {
    code: 'unavailable',
    certain: false,
  })
  const many = await Promise.all(Array.from({ length: 500 }, () => client.login(request)))
  assert.equal(many.length, 500)
  const leader = frontend.bus.client(RouterDefinition, { target: leaderResource(instance) })
  await assert.rejects(leader.login(request), { code: 'unavailable', certain: true })
  using _leading = router.bus.serve(
    RouterDefinition,
    { login: async () => Placement.create({ backend: 99, generation: 1, state: 1 }) },
    { target: leaderResource(instance) },
  )
  await router.bus.table('keys').get('x')
  assert.equal((await leader.login(request)).backend, 99)
  await assert.rejects(client.register({ user: '', username: '', password: undefined, hasPassword: false }), {
    code: 'unavailable',
  })
})

test('notifications reach those who listen', async () => {
  await using one = await openBus(server.url)
  await using two = await openBus(server.url, { service: 'frontend' })
  const heard: string[] = []
  using _listening = two.bus.onNotify(
    instanceTopic(instance, 'hello'),
    payload => void heard.push(Buffer.from(payload).toString()),
  )
  await until(() => {
    one.bus.notify(instanceTopic(instance, 'hello'), Buffer.from('x'))
    return heard.length > 0
  })
})

test('a bus that is closed leaves no timer that keeps its process', async () => {
  const timers = () => process.getActiveResourcesInfo().filter(name => name === 'Timeout').length
  const opened = await openBus(server.url, { service: 'router' })
  const before = timers()
  await opened.bus.table<number>('backends').watch('w.', () => undefined)
  await opened.bus[Symbol.asyncDispose]()
  assert.ok(timers() <= before, `${timers()} timers, ${before} before`)
})
