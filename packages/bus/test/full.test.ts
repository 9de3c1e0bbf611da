import assert from 'node:assert/strict'
import { test } from 'node:test'
import { commandLane, eventLane } from '../src/index.ts'
import { startServer } from './nats-server.ts'
import { instance, type Line, lineCodec, openBus } from './test-bus.ts'
import { until } from './until.ts'

const bigCodec = {
  encode: (items: readonly Line[]) =>
    Buffer.from(JSON.stringify(items.map(item => ({ ...item, pad: 'x'.repeat(8192) })))),
  decode: lineCodec.decode,
  userOf: lineCodec.userOf,
  sizeOf: () => 8300,
}

test('a full stream: senders are told, what was accepted arrives, owners and tables work, and it recovers by itself', async () => {
  // The lane may have the whole stream.
  const limits = { maxStreamBytes: 2 ** 20, maxLaneShare: 1 }
  await using server = await startServer()
  await using frontend = await openBus(server.url, { service: 'frontend', limits, timings: { fullPatienceMs: 500 } })
  await using worker = await openBus(server.url, { limits, timings: { purgeMs: 200 } })
  const lane = commandLane(instance, 1)
  const out = frontend.bus.publisher(lane, bigCodec)
  const refused = new Set<number>()
  let sent = 0
  const publish = () => {
    const n = sent++
    out.publish({ user: `u${n % 5}`, n }, error => {
      assert.equal(error.code, 'rate-limited')
      refused.add(n)
    })
  }
  // Nobody reads: about a hundred of these fit.
  for (let i = 0; i < 400; i++) publish()
  await until(() => refused.size > 0, { deadlineMs: 10_000 })
  await out.durable()
  assert.deepEqual(out.backlog, { items: 0, bytes: 0 })
  const acknowledged = Array.from({ length: sent }, (_, n) => n).filter(n => !refused.has(n))
  assert.ok(acknowledged.length > 0 && refused.size > 100, `${acknowledged.length} taken, ${refused.size} refused`)
  assert.equal(frontend.counts.get('bus_refused stream-full'), refused.size)

  // Everything else goes on.
  await worker.bus.table('keys').put('x', 1)
  const events = worker.bus.publisher(eventLane(instance, 0), lineCodec)
  events.publish({ user: 'u', n: 1 })
  await events.durable()
  const ownership = await worker.bus.owners.acquire('backend.full.1')
  assert.ok(ownership)

  const got: number[] = []
  await worker.bus.consume(lane, lineCodec, ownership, {
    onItem: delivery => {
      got.push(delivery.item.n)
      delivery.finish()
    },
    onLost: () => undefined,
  })
  await until(() => got.length === acknowledged.length, { describe: () => `${got.length} of ${acknowledged.length}` })
  assert.deepEqual(got, acknowledged)

  const before = refused.size
  await until(
    async () => {
      publish()
      await out.durable()
      return got.at(-1) === sent - 1
    },
    { deadlineMs: 20_000 },
  )
  assert.equal(got.length, sent - refused.size)
  assert.ok(refused.size - before < 50)
  assert.equal(worker.counts.get('bus_batch_gaps') ?? 0, 0)
  assert.equal(worker.counts.get('bus_dropped doubled-batch') ?? 0, 0)
})

test('what has no source that could be told is held and goes on when there is room', async () => {
  // The lane may have the whole stream.
  const limits = { maxStreamBytes: 2 ** 20, maxLaneShare: 1 }
  await using server = await startServer()
  await using worker = await openBus(server.url, { limits, timings: { fullPatienceMs: 100 } })
  await using frontend = await openBus(server.url, { service: 'frontend', limits, timings: { purgeMs: 200 } })
  const lane = eventLane(instance, 0)
  const out = worker.bus.publisher(lane, bigCodec)
  const refused: number[] = []
  // One in ten could be told, and is; the others wait in their order.
  for (let n = 0; n < 400; n++) out.publish({ user: 'u', n }, n % 10 === 0 ? () => refused.push(n) : undefined)
  await until(() => refused.length > 0, { deadlineMs: 10_000 })
  assert.ok(out.isCongested)
  const ownership = await frontend.bus.owners.acquire('partition.full.0')
  assert.ok(ownership)
  const got: number[] = []
  await frontend.bus.consume(lane, lineCodec, ownership, {
    onItem: delivery => {
      got.push(delivery.item.n)
      delivery.finish()
    },
    onLost: () => undefined,
  })
  await out.durable()
  const expected = Array.from({ length: 400 }, (_, n) => n).filter(n => !refused.includes(n))
  await until(() => got.length >= expected.length, { deadlineMs: 20_000, describe: () => `${got.length}` })
  assert.deepEqual(got, expected)
})

test('a lane whose owner is away fills its share of the stream and no more: the others take everything', async () => {
  const limits = { maxStreamBytes: 8 * 2 ** 20 }
  await using server = await startServer()
  await using frontend = await openBus(server.url, { service: 'frontend', limits, timings: { fullPatienceMs: 500 } })
  await using worker = await openBus(server.url, { limits, timings: { purgeMs: 200 } })
  const hot = commandLane(instance, 1)
  const out = frontend.bus.publisher(hot, bigCodec)
  const refused = new Set<number>()
  let sent = 0
  const publish = () => {
    const n = sent++
    out.publish({ user: `u${n % 5}`, n }, error => {
      assert.equal(error.code, 'rate-limited')
      refused.add(n)
    })
  }
  // 24 MB, as fast as it is taken.
  for (let i = 0; i < 3000; i++) {
    publish()
    if (out.isCongested) await out.durable()
  }
  await out.durable()
  const stored = (sent - refused.size) * 8300
  const share = limits.maxStreamBytes / 8
  assert.ok(stored > share && stored < 2 * share, `${stored} bytes of the hot lane are stored, its share is ${share}`)
  assert.equal(frontend.counts.get('bus_refused lane-share'), refused.size)
  assert.equal(frontend.counts.get('bus_publish_retries lane-full'), undefined)

  // Another lane takes more than the hot one's share in all, as its owner keeps up.
  const got: number[] = []
  const read = async (number: number, into: number[]) => {
    const ownership = await worker.bus.owners.acquire(`backend.share.${number}`)
    assert.ok(ownership)
    await worker.bus.consume(commandLane(instance, number), lineCodec, ownership, {
      onItem: delivery => {
        into.push(delivery.item.n)
        delivery.finish()
      },
      onLost: () => undefined,
    })
  }
  await read(2, got)
  const other = frontend.bus.publisher(commandLane(instance, 2), bigCodec)
  for (let n = 0; n < 400; n++) {
    other.publish({ user: 'u', n }, () => assert.fail('refused though its owner keeps up'))
    if (other.isCongested) await other.durable()
  }
  await until(() => got.length === 400, { describe: () => `${got.length} of 400` })

  // The owner of the hot lane comes: what was accepted arrives, and the lane takes more.
  const late: number[] = []
  await read(1, late)
  await until(() => late.length === sent - refused.size, { describe: () => `${late.length}` })
  await until(
    async () => {
      publish()
      await out.durable()
      return !refused.has(sent - 1)
    },
    { deadlineMs: 20_000 },
  )
  await until(() => late.at(-1) === sent - 1)
  assert.deepEqual(
    late,
    Array.from({ length: sent }, (_, n) => n).filter(n => !refused.has(n)),
  )
  assert.equal(worker.counts.get('bus_batch_gaps') ?? 0, 0)
})
