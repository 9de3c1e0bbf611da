import assert from 'node:assert/strict'
import { once } from 'node:events'
import { after, before, test } from 'node:test'
import { connect, headers, type NatsConnection, nkeyAuthenticator } from '@nats-io/transport-node'
import { Placement, RouterDefinition } from '@spectrum/messages'
import { type Bus, commandLane, createNkeys, type Delivery, eventLane, type ServiceName } from '../src/index.ts'
import {
  commandStream,
  eventStream,
  inboxPrefix,
  jetStreamApi,
  laneFilter,
  publishSubject,
  requestSubject,
} from '../src/subjects.ts'
import { startServer, type TestServer } from './nats-server.ts'
import { instance, type Line, lineCodec, openBus, type TestBus } from './test-bus.ts'
import { until } from './until.ts'

const keys = { frontend: createNkeys(), router: createNkeys(), worker: createNkeys() }
let server: TestServer
const buses = {} as Record<ServiceName, TestBus>
const raw = {} as Record<ServiceName, NatsConnection>
const violations = {} as Record<ServiceName, string[]>

before(async () => {
  server = await startServer({ users: keys, instances: [instance] })
  // The router last: the others must wait for its streams.
  const opening = (['frontend', 'worker'] as const).map(async service => {
    buses[service] = await openBus(server.url, { service, nkeySeed: keys[service].seed })
  })
  buses.router = await openBus(server.url, { service: 'router', nkeySeed: keys.router.seed })
  await Promise.all(opening)
  for (const service of ['frontend', 'router', 'worker'] as const) {
    const nc = await connect({
      port: server.port,
      authenticator: nkeyAuthenticator(Buffer.from(keys[service].seed)),
      inboxPrefix: inboxPrefix(service),
    })
    raw[service] = nc
    const seen: string[] = []
    violations[service] = seen
    const follow = async () => {
      for await (const status of nc.status()) if (status.type === 'error') seen.push(status.error.message)
    }
    follow().catch(error => seen.push(String(error)))
  }
})
after(async () => {
  for (const nc of Object.values(raw)) await nc.close()
  for (const bus of Object.values(buses)) await bus[Symbol.asyncDispose]()
  await server[Symbol.asyncDispose]()
})

async function isRefused(service: ServiceName, attempt: (nc: NatsConnection) => void): Promise<void> {
  const start = violations[service].length
  attempt(raw[service])
  await raw[service].flush()
  await until(() => violations[service].length > start, { describe: () => `${service} was not refused` })
  assert.match(violations[service].at(-1) ?? '', /ermissions [Vv]iolation/)
}

test('with its own user each service does its work', async () => {
  const lane = commandLane(instance, 3)
  const got: string[] = []
  const ownership = await buses.worker.bus.owners.acquire('backend.x.3')
  assert.ok(ownership)
  const consumer = await buses.worker.bus.consume(lane, lineCodec, ownership, {
    onItem: (delivery: Delivery<Line>) => {
      got.push(`${delivery.from} ${delivery.item.user}`)
      delivery.finish()
    },
    onLost: () => undefined,
  })
  for (const service of ['frontend', 'router', 'worker'] as const) {
    const publisher = buses[service].bus.publisher(lane, lineCodec)
    publisher.publish({ user: 'u', n: 1 })
    await publisher.durable()
  }
  await until(() => got.length === 3, { describe: () => JSON.stringify(got) })
  await consumer.committed()
  assert.deepEqual(got.sort(), ['frontend u', 'router u', 'worker u'])
  const owned = await buses.frontend.bus.owners.acquire('component.x')
  assert.ok(owned)
  const events: string[] = []
  await buses.frontend.bus.consume(eventLane(instance, 2), lineCodec, owned, {
    onItem: (delivery: Delivery<Line>) => {
      events.push(delivery.item.user)
      delivery.finish()
    },
    onLost: () => undefined,
  })
  buses.worker.bus.publisher(eventLane(instance, 2), lineCodec).publish({ user: 'e', n: 1 })
  await until(() => events.length === 1)
  using _serving = buses.router.bus.serve(RouterDefinition, {
    login: async () => Placement.create({ backend: 1, generation: 1, state: 1 }),
    fetchCredentials: async () => ({ publicKey: Buffer.of(), nonce: Buffer.of(), ciphertext: Buffer.of(1) }),
  })
  await buses.router.bus.table('keys').put(instance, 'public')
  assert.equal((await buses.frontend.bus.table('keys').get(instance))?.value, 'public')
  assert.equal((await buses.frontend.bus.table('keys').get(instance, { mayBeStale: true }))?.value, 'public')
  assert.equal((await buses.frontend.bus.client(RouterDefinition).login({ user: 'u', nickHint: '' })).backend, 1)
  const asked = credentialsRequest()
  const credentials = await buses.worker.bus.client(RouterDefinition).fetchCredentials(asked)
  assert.equal(credentials.ciphertext.length, 1)
  await assert.rejects(buses.frontend.bus.client(RouterDefinition).fetchCredentials(asked), { code: 'not-allowed' })
  for (const bus of Object.values(buses))
    assert.deepEqual(
      bus.logs.filter(entry => entry.level === 'error' && !/subject/.test(entry.message)),
      [],
    )
  assert.equal(buses.worker.counts.get('bus_refused permission publish'), undefined)
})

test('a frontend reads no commands and no credentials', async () => {
  const lane = commandLane(instance, 3)
  await isRefused('frontend', nc => nc.subscribe(laneFilter(lane)))
  await isRefused('frontend', nc => nc.subscribe('commands.>'))
  await isRefused('frontend', nc => nc.subscribe('>'))
  await isRefused('frontend', nc => nc.subscribe(`${inboxPrefix('worker')}.>`))
  await isRefused('frontend', nc => nc.subscribe(`${inboxPrefix('router')}.>`))
  await isRefused('frontend', nc => nc.subscribe('requests.>'))
  const stream = commandStream(instance, 0)
  await isRefused('frontend', nc => nc.publish(jetStreamApi.consumerCreate(stream, 'x', laneFilter(lane)), '{}'))
  await isRefused('frontend', nc => nc.publish(`$JS.API.CONSUMER.CREATE.${stream}`, '{}'))
  await isRefused('frontend', nc => nc.publish(`$JS.API.CONSUMER.DURABLE.CREATE.${stream}.x`, '{}'))
  await isRefused('frontend', nc => nc.publish(jetStreamApi.getMessage(stream), '{"seq":1}'))
  await isRefused('frontend', nc => nc.publish(`$JS.API.DIRECT.GET.${stream}`, '{"seq":1}'))
  await isRefused('frontend', nc => nc.publish(jetStreamApi.getMessage('KV_snapshots'), '{"seq":1}'))
  await isRefused('frontend', nc => nc.publish(jetStreamApi.getDirect('KV_snapshots', '$KV.snapshots.x'), ''))
  await isRefused('frontend', nc => nc.publish(jetStreamApi.getDirect(stream, publishSubject(lane, 'frontend')), ''))
  await isRefused('frontend', nc => nc.publish(jetStreamApi.purge(stream), '{}'))
  await isRefused('frontend', nc => nc.publish(jetStreamApi.consumerDelete(stream, 'x'), '{}'))
  const credentials = requestSubject(instance, 'router', 'FetchCredentials', undefined, 'frontend')
  await isRefused('frontend', nc => nc.publish(credentials, ''))
  await isRefused('frontend', nc => nc.publish(credentials.replace(/frontend$/, 'worker'), ''))
})

test('a consumer whose filter differs from its subject is refused', async () => {
  const subject = jetStreamApi.consumerCreate(eventStream(instance), 'sly', laneFilter(eventLane(instance, 1)))
  const reply = await raw.frontend.request(
    subject,
    JSON.stringify({
      stream_name: commandStream(instance, 0),
      config: {
        name: 'sly',
        filter_subject: 'commands.>',
        deliver_subject: `${inboxPrefix('frontend')}.sly`,
        ack_policy: 'none',
      },
    }),
    { timeout: 5000 },
  )
  assert.ok(reply.json<{ error?: object }>().error, reply.string())
})

test('a worker publishes commands only as forwards, and nothing in the name of others', async () => {
  const lane = commandLane(instance, 3)
  await isRefused('worker', nc => nc.publish(publishSubject(lane, 'frontend'), ''))
  await isRefused('worker', nc => nc.publish(publishSubject(lane, 'router'), ''))
  await isRefused('worker', nc => nc.publish(lane.subject, ''))
  await isRefused('worker', nc => nc.publish(jetStreamApi.purge(eventStream(instance)), '{}'))
  await isRefused('worker', nc => nc.publish('$KV.placements.x', ''))
  await isRefused('worker', nc => nc.publish('$KV.keys.x', ''))
  await isRefused('worker', nc => nc.publish('$KV.owners.leader.x', ''))
  await isRefused('worker', nc => nc.publish('$KV.heartbeats.frontend.x', ''))
  await isRefused('worker', nc => nc.publish(jetStreamApi.streamCreate('SLY'), '{}'))
  await isRefused('frontend', nc => nc.publish(jetStreamApi.streamCreate('SLY'), '{}'))
  await isRefused('frontend', nc => nc.publish(`$JS.API.STREAM.DELETE.${eventStream(instance)}`, ''))
  await isRefused('frontend', nc => nc.publish(publishSubject(eventLane(instance, 1), 'worker'), ''))
  await isRefused('frontend', nc => nc.publish('$KV.owners.backend.x.1', ''))
  await isRefused('frontend', nc => nc.publish('$KV.cursors.commands.x', ''))
  await isRefused('frontend', nc => nc.publish('deaths.router', ''))
})

test('nobody answers requests in the name of the router', async () => {
  for (const service of ['frontend', 'worker'] as const) {
    await isRefused(service, nc => nc.subscribe(requestSubject(instance, 'router', 'Login', undefined, '*')))
    await isRefused(service, nc => nc.subscribe('requests.>', { queue: 'router' }))
  }
  await isRefused('worker', nc => nc.publish(`${inboxPrefix('frontend')}.abc.1`, 'forged'))
  await isRefused('frontend', nc => nc.publish(`${inboxPrefix('worker')}.abc.1`, 'forged'))
  // The router may answer who asked, and nobody else.
  await isRefused('router', nc => nc.publish(`${inboxPrefix('worker')}.abc.1`, 'forged', { headers: headers() }))
})

test('a bus without a user is not let in', async () => {
  const abort = new AbortController()
  const refused = once(abort.signal, 'abort')
  setTimeout(() => abort.abort(), 300)
  await assert.rejects(
    import('../src/index.ts').then(({ connectBus }) =>
      connectBus({ servers: [server.url], service: 'worker', instance, log: silent }, abort.signal),
    ) as Promise<Bus>,
  )
  await refused
})

const silent = { debug: () => {}, info: () => {}, warn: () => {}, error: () => {} }
const credentialsRequest = () => ({
  user: 'u',
  backend: 3,
  epoch: 1,
  generation: 1,
  process: 'p',
  publicKey: Buffer.alloc(32),
})
