import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import { promisify } from 'node:util'
import { connect, headers, type NatsConnection } from '@nats-io/transport-node'
import { commandLane, connectBus, type Delivery, ItemTooLargeError, type Lane, LaneFullError } from '../src/index.ts'
import { deadStream, jetStreamApi, publishSubject } from '../src/subjects.ts'
import { startServer, type TestServer } from './nats-server.ts'
import { instance, type Line, lineCodec, openBus, type TestBus } from './test-bus.ts'
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

/** A consumer that notes what it gets; `finish` decides when. */
async function collect(worker: TestBus, lane: Lane, finish: (delivery: Delivery<Line>) => void = d => d.finish()) {
  const ownership = await worker.bus.owners.acquire(`backend.${lane.key}`)
  assert.ok(ownership)
  const got: Line[] = []
  const lost: string[] = []
  const consumer = await worker.bus.consume(lane, lineCodec, ownership, {
    onItem: delivery => {
      got.push(delivery.item)
      finish(delivery)
    },
    onLost: reason => void lost.push(reason),
  })
  return { got, lost, consumer, ownership }
}

test('items finished in random order: a successor gets the unfinished ones, in order, and no others', async () => {
  await using publisher = await openBus(server.url, { service: 'router' })
  const lane = commandLane(instance, 2)
  const finished = new Set<number>()
  const held: Delivery<Line>[] = []
  {
    await using worker = await openBus(server.url)
    const { got, consumer } = await collect(worker, lane, delivery => void held.push(delivery))
    const out = publisher.bus.publisher(lane, lineCodec)
    for (let n = 0; n < 2000; n++) {
      out.publish({ user: `u${n % 10}`, n })
      if (n % 50 === 0) await out.durable()
    }
    await until(() => got.length === 2000)
    // Per user a random number of its first items, in random order between users.
    const perUser = new Map(Array.from({ length: 10 }, (_, user) => [`u${user}`, Math.floor(Math.random() * 200)]))
    const chosen = held.filter(({ item }) => Math.floor(item.n / 10) < (perUser.get(item.user) ?? 0))
    for (const delivery of chosen.sort(() => Math.random() - 0.5)) {
      delivery.finish()
      finished.add(delivery.item.n)
    }
    await consumer.committed()
    assert.equal(consumer.unfinished, 2000 - finished.size)
  }
  await using next = await openBus(server.url)
  const { got } = await collect(next, lane)
  publisher.bus.publisher(lane, lineCodec).publish({ user: 'u0', n: 2000 })
  await until(() => got.at(-1)?.n === 2000)
  assert.deepEqual(
    got.map(line => line.n),
    Array.from({ length: 2001 }, (_, n) => n).filter(n => !finished.has(n)),
  )
})

test('pause reads nothing, resume goes on; drain finishes and stops', async () => {
  await using worker = await openBus(server.url)
  await using publisher = await openBus(server.url, { service: 'router' })
  const lane = commandLane(instance, 3)
  const held: Delivery<Line>[] = []
  const { got, consumer } = await collect(worker, lane, delivery => void held.push(delivery))
  const out = publisher.bus.publisher(lane, lineCodec)
  const send = async (n: number) => {
    out.publish({ user: 'u', n })
    await out.durable()
  }
  await send(0)
  await until(() => got.length === 1)
  consumer.pause()
  await send(1)
  await worker.bus.table('keys').get('x') // a round trip behind the message, had it been sent
  assert.equal(got.length, 1)
  consumer.resume()
  await until(() => got.length === 2)
  await assert.rejects(consumer.drain(50), /2 items unfinished/)
  const drained = consumer.drain(5000)
  for (const delivery of held) delivery.finish()
  await drained
  assert.equal(consumer.unfinished, 0)
})

test('a full lane holds its publisher back, loses nothing, and leaves others alone', async () => {
  const limits = { maxMessagesPerLane: 5 }
  await using own = await startServer()
  await using publisher = await openBus(own.url, { service: 'router', limits })
  await using worker = await openBus(own.url, { limits, timings: { purgeMs: 100 } })
  const full = publisher.bus.publisher(commandLane(instance, 1), lineCodec)
  for (let n = 0; n < 5; n++) {
    full.publish({ user: 'u', n })
    await full.durable()
  }
  full.publish({ user: 'u', n: 5 })
  full.publish({ user: 'u', n: 6 })
  await until(() => (publisher.counts.get('bus_publish_retries lane-full') ?? 0) >= 2)
  assert.equal(full.backlog.items, 2)
  const other = publisher.bus.publisher(commandLane(instance, 2), lineCodec)
  other.publish({ user: 'u', n: 0 })
  await other.durable()
  const { got } = await collect(worker, commandLane(instance, 1))
  await full.durable()
  await until(() => got.length === 7)
  assert.deepEqual(
    got.map(line => line.n),
    [0, 1, 2, 3, 4, 5, 6],
  )
})

test('what was published is durable only when it is, though what came later was refused', async () => {
  const limits = { maxMessagesPerLane: 1 }
  await using own = await startServer()
  await using publisher = await openBus(own.url, { service: 'router', limits })
  const full = publisher.bus.publisher(commandLane(instance, 1), lineCodec)
  full.publish({ user: 'u', n: 0 })
  await full.durable()
  let isDurable = false
  let refused = 0
  full.publish({ user: 'u', n: 1 })
  void full.durable().then(() => {
    isDurable = true
  })
  for (let n = 2; n < 5; n++) full.publish({ user: 'u', n }, () => void refused++)
  await until(() => refused === 3, { deadlineMs: 20_000 })
  await new Promise(resolve => setImmediate(resolve))
  assert.equal(isDurable, false)
  await using worker = await openBus(own.url, { limits, timings: { purgeMs: 100 } })
  const { got } = await collect(worker, commandLane(instance, 1))
  await until(() => isDurable, { deadlineMs: 20_000 })
  await until(() => got.length === 2)
})

test('lanes that are opened while the lease is out are read when it is back, every one of them', async () => {
  await using worker = await openBus(server.url)
  await using publisher = await openBus(server.url, { service: 'router' })
  const count = 40
  const got = new Map<number, number[]>()
  let isValid = false
  const opened: Promise<unknown>[] = []
  for (let number = 0; number < count; number++) {
    const lane = commandLane(instance, 700 + number)
    const out = publisher.bus.publisher(lane, lineCodec)
    for (let n = 0; n < 20; n++) out.publish({ user: 'u', n })
    await out.durable()
    const real = await worker.bus.owners.acquire(`backend.lease.${number}`)
    assert.ok(real)
    const lines: number[] = []
    got.set(number, lines)
    const ownership = {
      resource: real.resource,
      epoch: real.epoch,
      isTakeOver: false,
      mayAct: () => isValid && real.mayAct(),
      onLost: real.onLost.bind(real),
      release: real.release.bind(real),
      lose: real.lose.bind(real),
      [Symbol.asyncDispose]: () => real[Symbol.asyncDispose](),
    }
    opened.push(
      worker.bus.consume(lane, lineCodec, ownership, {
        onItem: delivery => {
          lines.push(delivery.item.n)
          delivery.finish()
        },
        onLost: () => undefined,
      }),
    )
  }
  await new Promise(resolve => setTimeout(resolve, 100))
  isValid = true
  await until(() => [...got.values()].every(lines => lines.length === 20), {
    deadlineMs: 20_000,
    describe: () => `${[...got.values()].filter(lines => lines.length < 20).length} lanes are not read`,
  })
  await Promise.all(opened)
})

test('a publisher is bounded while NATS is away, says when it is relieved, and refuses what is too large', async () => {
  await using own = await startServer()
  await using publisher = await openBus(own.url, { service: 'router' })
  const out = publisher.bus.publisher(commandLane(instance, 1), blobCodec)
  assert.throws(() => out.publish('x'.repeat(2 ** 20)), ItemTooLargeError)
  out.publish('x'.repeat(600_000)) // alone in a batch
  await out.durable()
  await own.kill()
  await until(() => !publisher.bus.isConnected)
  assert.throws(() => {
    for (;;) out.publish('x'.repeat(100_000))
  }, LaneFullError)
  assert.ok(out.isCongested)
  let relieved = 0
  using _relief = out.onRelief(() => void relieved++)
  await own.start()
  await out.durable()
  assert.equal(relieved, 1)
  assert.deepEqual(out.backlog, { items: 0, bytes: 0 })
})

/** What was put aside as the first, the second … */
async function deadLetter(nc: NatsConnection, seq: number): Promise<{ data: Buffer; headers: string }> {
  const reply = await nc.request(jetStreamApi.getMessage(deadStream(instance)), JSON.stringify({ seq }))
  const { message } = reply.json<{ message: { data: string; hdrs: string } }>()
  return { data: Buffer.from(message.data, 'base64'), headers: Buffer.from(message.hdrs, 'base64').toString() }
}

test('a batch that does not decode, and an item whose handler throws, go to the dead stream', async () => {
  await using own = await startServer()
  await using publisher = await openBus(own.url, { service: 'router' })
  await using worker = await openBus(own.url)
  const lane = commandLane(instance, 1)
  const { got, consumer } = await collect(worker, lane, delivery => {
    if (delivery.item.n === 1) throw new Error('cannot')
    delivery.finish()
  })
  await using nc = await connect({ port: own.port })
  nc.publish(publishSubject(lane, 'router'), 'no batch')
  await nc.flush()
  const out = publisher.bus.publisher(lane, lineCodec)
  for (let n = 0; n < 3; n++) out.publish({ user: 'u', n })
  await until(() => got.length === 3)
  await until(() => consumer.unfinished === 0)
  assert.equal(worker.counts.get('bus_dead undecodable-batch'), 1)
  assert.equal(worker.counts.get('bus_dead handler-failed'), 1)
  assert.equal((await deadLetter(nc, 1)).data.toString(), 'no batch')
  assert.deepEqual(JSON.parse((await deadLetter(nc, 2)).data.toString()), [{ user: 'u', n: 1 }])
})

test('a batch without items, and one as large as the server takes, go to the dead stream as well', async () => {
  await using own = await startServer()
  await using worker = await openBus(own.url)
  const lane = commandLane(instance, 1)
  const { got, consumer } = await collect(worker, lane)
  await using nc = await connect({ port: own.port })
  const largest = Buffer.alloc((nc.info?.max_payload ?? 0) - 100, 0xff)
  nc.publish(publishSubject(lane, 'router'), '[]')
  nc.publish(publishSubject(lane, 'router'), largest)
  await until(() => worker.counts.get('bus_dead undecodable-batch') === 2 && consumer.unfinished === 0)
  const bodies = [await deadLetter(nc, 1), await deadLetter(nc, 2)].sort((a, b) => a.data.length - b.data.length)
  assert.equal(bodies[0]?.data.toString(), '[]')
  const cut = bodies[1]
  assert.ok(cut && cut.data.length > 1_000_000 && cut.data.equals(largest.subarray(0, cut.data.length)))
  assert.match(cut.headers, new RegExp(`Spectrum-Whole-Bytes: ${largest.length}`))
  assert.equal(worker.counts.get('bus_dropped dead-stream-unavailable') ?? 0, 0)
  assert.equal(got.length, 0)
})

test('a batch sent again is dropped although the server forgot its id; a new life of the publisher is not', async () => {
  await using own = await startServer()
  await using worker = await openBus(own.url)
  const lane = commandLane(instance, 1)
  const { got, consumer } = await collect(worker, lane)
  await using nc = await connect({ port: own.port })
  const send = (epoch: number, number: number, n: number, salt = '') => {
    const header = headers()
    // The salt stands for a window that has passed: the server does not know the id.
    header.set('Nats-Msg-Id', `${lane.key}${salt}|p|${epoch}|${number}`)
    nc.publish(publishSubject(lane, 'router'), lineCodec.encode([{ user: 'u', n }]), { headers: header })
  }
  send(1, 1, 1)
  send(1, 2, 2)
  send(1, 1, 1, 'again')
  send(2, 1, 3)
  send(2, 4, 4)
  await until(() => got.length === 4)
  await consumer.committed()
  assert.deepEqual(
    got.map(line => line.n),
    [1, 2, 3, 4],
  )
  assert.equal(worker.counts.get('bus_dropped doubled-batch'), 1)
  assert.equal(worker.counts.get('bus_batch_gaps'), 1)
})

test('a lane is purged up to its cursor, also after it went idle', async () => {
  await using worker = await openBus(server.url, { timings: { purgeMs: 200 } })
  await using publisher = await openBus(server.url, { service: 'router' })
  const lane = commandLane(instance, 4)
  await collect(worker, lane)
  const out = publisher.bus.publisher(lane, lineCodec)
  for (let n = 0; n < 20; n++) {
    out.publish({ user: 'u', n })
    await out.durable()
  }
  await using nc = await connect({ port: server.port })
  const messages = async () => {
    const body = JSON.stringify({ subjects_filter: `${lane.subject}.>` })
    const reply = await nc.request(jetStreamApi.streamInfo(lane.stream), body)
    return reply.json<{ state: { subjects?: object } }>().state.subjects
  }
  await until(async () => (await messages()) === undefined)
})

test('a wiped server: streams are made again and lanes go on', async () => {
  await using own = await startServer()
  await using publisher = await openBus(own.url, { service: 'router' })
  await using worker = await openBus(own.url)
  const lane = commandLane(instance, 1)
  const { got, consumer, ownership } = await collect(worker, lane)
  const out = publisher.bus.publisher(lane, lineCodec)
  for (let n = 0; n < 10; n++) {
    out.publish({ user: 'u', n })
    await out.durable()
  }
  await until(() => got.length === 10)
  await consumer.committed()
  await own.kill()
  await rm(own.storeDir, { recursive: true })
  await own.start()
  out.publish({ user: 'u', n: 10 })
  await until(() => got.length === 11, { deadlineMs: 20_000, describe: () => JSON.stringify([...worker.counts]) })
  await consumer.committed()
  await worker.bus.table('keys').put('x', 1)
  const owner = { process: worker.bus.processId, epoch: ownership.epoch }
  await until(async () => (await publisher.bus.owners.ownerOf(ownership.resource)) !== undefined)
  assert.deepEqual(await publisher.bus.owners.ownerOf(ownership.resource), owner)
  assert.ok(ownership.mayAct())
})

test('a wiped server: what was in hand counts for nothing in the new stream', async () => {
  await using own = await startServer()
  await using publisher = await openBus(own.url, { service: 'router' })
  await using worker = await openBus(own.url)
  const lane = commandLane(instance, 1)
  const held: Delivery<Line>[] = []
  const { got, consumer } = await collect(worker, lane, delivery => held.push(delivery))
  const out = publisher.bus.publisher(lane, lineCodec)
  for (let n = 0; n < 10; n++) out.publish({ user: 'u', n })
  await until(() => got.length === 10)
  await own.kill()
  await rm(own.storeDir, { recursive: true })
  await own.start()
  out.publish({ user: 'u', n: 10 })
  await until(() => got.length === 11, { deadlineMs: 20_000, describe: () => JSON.stringify([...worker.counts]) })
  const last = held.pop()
  for (const delivery of held) delivery.finish()
  assert.equal(consumer.unfinished, 1)
  await assert.rejects(consumer.drain(50), /1 items unfinished/)
  last?.finish()
  await consumer.drain(5_000)
  const record = await worker.bus.table<{ low: number }>('cursors').get(lane.key)
  assert.equal(record?.value.low, 2)
})

for (const how of ['paused', 'drained'] as const)
  test(`a wiped server while a lane is ${how}: what comes then is read by the next owner, from its start`, async () => {
    await using own = await startServer()
    await using publisher = await openBus(own.url, { service: 'router' })
    const lane = commandLane(instance, 1)
    const out = publisher.bus.publisher(lane, lineCodec)
    const publish = async (from: number, to: number) => {
      for (let n = from; n < to; n++) {
        out.publish({ user: 'u', n })
        await out.durable()
      }
    }
    {
      await using worker = await openBus(own.url)
      const held: Delivery<Line>[] = []
      const { got, consumer } = await collect(worker, lane, delivery => held.push(delivery))
      await publish(0, 6)
      await until(() => got.length === 6)
      for (const delivery of held.splice(0, 4)) delivery.finish()
      await consumer.committed()
      const drained = how === 'drained' ? consumer.drain(20_000) : undefined
      if (drained === undefined) consumer.pause()
      await own.kill()
      await rm(own.storeDir, { recursive: true })
      await own.start()
      await until(() => publisher.bus.isConnected && worker.bus.isConnected, { deadlineMs: 20_000 })
      // More than there were: the old low is a sequence that exists again.
      await publish(100, 112)
      for (const delivery of held) delivery.finish()
      await (drained ?? consumer.committed())
      const { value } = (await worker.bus.table<{ low: number }>('cursors').get(lane.key)) ?? {}
      assert.equal(value?.low, 7, 'it is about the stream that is gone')
    }
    await using next = await openBus(own.url)
    const { got } = await collect(next, lane)
    await publish(112, 115)
    await until(() => got.length === 15, { describe: () => JSON.stringify(got) })
    assert.deepEqual(
      got.map(({ n }) => n),
      Array.from({ length: 15 }, (_, index) => 100 + index),
    )
  })

test('while a process may not publish nothing leaves, also not behind a batch that is acknowledged then; what is abandoned never does', async () => {
  await using worker = await openBus(server.url)
  await using publisher = await openBus(server.url, { service: 'router' })
  const lane = commandLane(instance, 12)
  const { got } = await collect(worker, lane)
  const out = publisher.bus.publisher(lane, lineCodec)
  let mayPublish = true
  publisher.bus.guardPublishing(() => mayPublish)
  const turn = () => new Promise(resolve => setImmediate(resolve))
  out.publish({ user: 'u', n: 0 })
  await turn()
  out.publish({ user: 'u', n: 1 })
  mayPublish = false
  await until(() => got.length === 1)
  await delay(300)
  assert.equal(got.length, 1)
  mayPublish = true
  await until(() => got.length === 2)
  mayPublish = false
  const refused: string[] = []
  out.publish({ user: 'u', n: 2 }, error => refused.push(`${error.certain}`))
  await delay(100)
  out.abandon()
  mayPublish = true
  out.publish({ user: 'u', n: 3 })
  await until(() => got.length === 3)
  assert.deepEqual([got.map(({ n }) => n), refused], [[0, 1, 3], ['true']])
})

test('while one user has 200 unfinished items, the other 99 lose no item and no order', async () => {
  await using worker = await openBus(server.url)
  await using publisher = await openBus(server.url, { service: 'router' })
  const lane = commandLane(instance, 6)
  const held: Delivery<Line>[] = []
  const { got, consumer } = await collect(worker, lane, delivery => {
    if (delivery.item.user === 'slow') held.push(delivery)
    else delivery.finish()
  })
  const out = publisher.bus.publisher(lane, lineCodec)
  for (let n = 0; n < 200; n++) out.publish({ user: 'slow', n })
  for (let n = 0; n < 9900; n++) {
    out.publish({ user: `u${n % 99}`, n })
    if (n % 333 === 0) await out.durable()
  }
  await until(() => got.length === 10_100)
  assert.equal(consumer.unfinished, 200)
  assert.deepEqual(
    got.filter(({ user }) => user !== 'slow').map(({ n }) => n),
    Array.from({ length: 9900 }, (_, n) => n),
  )
  await consumer.committed()
  for (const delivery of held) delivery.finish()
  await consumer.committed()
  assert.equal(consumer.unfinished, 0)
})

test('an item that its codec refuses is dropped and counted, the others of its batch go', async () => {
  await using worker = await openBus(server.url)
  await using publisher = await openBus(server.url, { service: 'router' })
  const lane = commandLane(instance, 7)
  const { got } = await collect(worker, lane)
  const picky = {
    ...lineCodec,
    encode: (lines: readonly Line[]) => {
      if (lines.some(({ n }) => n === 13)) throw new Error('thirteen')
      return lineCodec.encode(lines)
    },
  }
  const out = publisher.bus.publisher(lane, picky)
  for (let n = 0; n < 40; n++) out.publish({ user: 'u', n })
  await out.durable()
  await until(() => got.length === 39)
  assert.deepEqual(
    got.map(({ n }) => n),
    Array.from({ length: 40 }, (_, n) => n).filter(n => n !== 13),
  )
  assert.equal(publisher.counts.get('bus_dropped unencodable'), 1)
})

test('TLS: the server must show a certificate of the given authority', async () => {
  await using own = await startServer({ tls: await makeCertificates() })
  const caFile = join(await certificates, 'ca.pem')
  await using worker = await openBus(own.url, { caFile })
  await worker.bus.table('keys').put('x', 1)
  const abort = AbortSignal.timeout(1500)
  const other = join(await certificates, 'other.pem')
  await assert.rejects(
    connectBus({ servers: [own.url], service: 'worker', instance, log: silent, caFile: other }, abort),
  )
})

const silent = { debug: () => {}, info: () => {}, warn: () => {}, error: () => {} }
const blobCodec = {
  encode: (items: readonly string[]) => Buffer.from(items.join('')),
  decode: (payload: Uint8Array) => [Buffer.from(payload).toString()],
  userOf: () => 'u',
  sizeOf: (item: string) => item.length,
}

const certificates = mkdtemp(join(tmpdir(), 'bus-tls-'))
after(async () => rm(await certificates, { recursive: true }))
async function makeCertificates() {
  const cwd = await certificates
  const openssl = (...args: string[]) => promisify(execFile)('openssl', args, { cwd })
  const subject = (name: string) => ['-subj', `/CN=${name}`, '-days', '2', '-nodes', '-newkey', 'ec']
  const curve = ['-pkeyopt', 'ec_paramgen_curve:P-256']
  for (const name of ['ca', 'other'])
    await openssl('req', '-x509', ...subject(name), ...curve, '-keyout', `${name}.key`, '-out', `${name}.pem`)
  await openssl('req', ...subject('localhost'), ...curve, '-keyout', 'server.key', '-out', 'server.csr')
  await writeFile(join(cwd, 'san'), 'subjectAltName=DNS:localhost,IP:127.0.0.1')
  const signing = ['-CA', 'ca.pem', '-CAkey', 'ca.key', '-CAcreateserial', '-days', '2', '-extfile', 'san']
  await openssl('x509', '-req', '-in', 'server.csr', ...signing, '-out', 'server.pem')
  return { certFile: join(cwd, 'server.pem'), keyFile: join(cwd, 'server.key'), caFile: join(cwd, 'ca.pem') }
}

test('what cannot be published is given up with a word on whether it left, and is not counted as unpublished any more', async () => {
  const server = await startServer()
  await using bus = await openBus(server.url, { service: 'frontend' })
  const publisher = bus.bus.publisher(commandLane(instance, 77), lineCodec)
  publisher.publish({ user: 'romeo', n: 0 })
  await publisher.durable()
  await server[Symbol.asyncDispose]()
  const told: string[] = []
  const publish = (n: number) =>
    publisher.publish({ user: 'romeo', n }, error => told.push(`${n} ${error.name} ${error.certain}`))
  for (const n of [1, 2]) publish(n)
  assert.ok(bus.bus.unpublishedBytes > 0)
  assert.equal(publisher.abandon(), 2)
  assert.deepEqual(told, ['1 AbandonedError true', '2 AbandonedError true'])
  assert.equal(bus.bus.unpublishedBytes, 0)
  await publisher.durable()
})

test('a batch under way is given up as perhaps stored; one that waits behind it as certainly not', async () => {
  await using server = await startServer()
  await using bus = await openBus(server.url, { service: 'frontend' })
  const publisher = bus.bus.publisher(commandLane(instance, 78), lineCodec)
  const told: string[] = []
  const publish = (n: number) => publisher.publish({ user: 'romeo', n }, error => told.push(`${n} ${error.certain}`))
  publish(1)
  // The turn of the event loop in which the batch leaves: no answer can have come.
  await new Promise<void>(resolve => setImmediate(resolve))
  publish(2)
  publisher.abandon()
  assert.deepEqual(told, ['1 false', '2 true'])
  publish(3)
  await publisher.durable()
  assert.equal(told.length, 2)
})
