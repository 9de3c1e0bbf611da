import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { commandLane, type Delivery } from '../src/index.ts'
import { startServer, type TestServer } from './nats-server.ts'
import { instance, type Line, lineCodec, openBus } from './test-bus.ts'
import { until } from './until.ts'

let server: TestServer
before(async () => {
  server = await startServer()
})
after(() => server[Symbol.asyncDispose]())

test('what is published arrives in order and is not seen again after it was finished', async () => {
  await using publisher = await openBus(server.url, { service: 'frontend' })
  const lane = commandLane(instance, 1)
  const got: Line[] = []
  {
    await using worker = await openBus(server.url)
    const ownership = await worker.bus.owners.acquire('backend.x.1')
    assert.ok(ownership)
    const consumer = await worker.bus.consume(lane, lineCodec, ownership, {
      onItem: (delivery: Delivery<Line>) => {
        got.push(delivery.item)
        assert.equal(delivery.from, 'frontend')
        delivery.finish()
      },
      onLost: () => undefined,
    })
    const out = publisher.bus.publisher(lane, lineCodec)
    for (let n = 0; n < 5000; n++) out.publish({ user: `u${n % 7}`, n })
    await out.durable()
    await until(() => got.length === 5000, { describe: () => `${got.length} ${JSON.stringify(worker.logs)}` })
    await consumer.committed()
    assert.deepEqual(
      got.map(line => line.n),
      Array.from({ length: 5000 }, (_, n) => n),
    )
  }
  await using next = await openBus(server.url)
  const ownership = await next.bus.owners.acquire('backend.x.1')
  assert.ok(ownership)
  await next.bus.consume(lane, lineCodec, ownership, {
    onItem: (delivery: Delivery<Line>) => {
      got.push(delivery.item)
      delivery.finish()
    },
    onLost: () => undefined,
  })
  publisher.bus.publisher(lane, lineCodec).publish({ user: 'u1', n: 5000 })
  await until(() => got.length > 5000)
  assert.equal(got[5000]?.n, 5000)
})
