import assert from 'node:assert/strict'
import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { after, afterEach, before, beforeEach, describe, test } from 'node:test'
import {
  backendKey,
  backendResource,
  commandLane,
  type Delivery,
  instancePrefix,
  placementKey,
  protoValue,
  userOfKey,
} from '@spectrum/bus'
import { Backend, type Command, commandCodec, Occupancy, Placement, Placement_State } from '@spectrum/messages'
import { type NatsServer, startNats, TemporaryFolder, waitUntil } from '@spectrum/stack'
import { failure, instance, type LocalRouter, metric, Neighbour, startLocalRouter, untilLeads } from './harness.ts'

const auto = ['--registration.auto_register=1', '--service.users_per_backend=100']

describe('placement', () => {
  let nats: NatsServer
  let router: LocalRouter
  let frontend: Neighbour
  let worker: Neighbour

  // Servers of their own for each test: no counts are left over.
  beforeEach(async () => {
    nats = await startNats()
    router = await startLocalRouter(nats, auto)
    frontend = await Neighbour.connect(nats, 'frontend')
    worker = await Neighbour.connect(nats, 'worker')
    await untilLeads(router)
  })
  afterEach(async () => {
    for (const part of [worker, frontend, router, nats]) await part[Symbol.asyncDispose]()
  })

  const placements = () => frontend.bus.table('placements', protoValue(Placement))

  async function placed(): Promise<Map<string, Placement>> {
    const found = new Map<string, Placement>()
    for await (const { key, value } of placements().list(instancePrefix(instance))) found.set(userOfKey(key), value)
    return found
  }

  test('backend 0 is there before anybody has registered', async () => {
    const backends = frontend.bus.table('backends', protoValue(Backend))
    const entry = await waitUntil(() => backends.get(backendKey(instance, 0)))
    assert.deepEqual(entry.value, { number: 0, capacity: 100, isRetired: false, isLongRun: false })
    assert.equal((await placed()).size, 0)
  })

  test('500 users who log in at once are placed first-fit, each once, each told to start once', async () => {
    const users = Array.from({ length: 500 }, (_, index) => `user${index}@example.org`)
    const answers = await Promise.all(
      users.map(user => frontend.router.login({ user, nickHint: '' }, { timeoutMs: 60_000 })),
    )
    const perBackend = new Map<number, number>()
    for (const { backend, state } of answers) {
      assert.equal(state, Placement_State.STATE_STARTED)
      perBackend.set(backend, (perBackend.get(backend) ?? 0) + 1)
    }
    assert.deepEqual(
      [...perBackend].sort(),
      [0, 1, 2, 3, 4].map(backend => [backend, 100]),
    )
    const found = await placed()
    assert.equal(found.size, 500)
    for (const [index, user] of users.entries()) assert.deepEqual(found.get(user), answers[index])

    const started = await readLane(worker, 0, 100)
    assert.equal(new Set(started.map(command => command.user)).size, 100)
    for (const { user, generation, command } of started) {
      assert.equal(found.get(user)?.generation, generation)
      assert.deepEqual(command, { $case: 'startSession', value: { username: user, settings: {}, snapshot: undefined } })
    }
    const occupancy = frontend.bus.table('occupancy', protoValue(Occupancy))
    await waitUntil(async () => (await occupancy.get(backendKey(instance, 4)))?.value.isSettled)
    for (const number of [0, 1, 2, 3, 4])
      assert.equal((await occupancy.get(backendKey(instance, number)))?.value.users, 100)
    assert.equal(await metric(router, 'spectrum_placements'), 500)
    await waitUntil(async () => (await metric(router, 'spectrum_backends')) === 6)
    assert.equal(await metric(router, 'spectrum_logins_total', { result: 'placed' }), 500)
  })

  test('logging in again changes nothing, also at the same time', async () => {
    const user = 'romeo@montague.example'
    const answers = await Promise.all(Array.from({ length: 20 }, () => frontend.router.login({ user, nickHint: 'r' })))
    answers.push(await frontend.router.login({ user, nickHint: '' }))
    for (const answer of answers) assert.deepEqual(answer, answers[0])
    assert.equal((await readLane(worker, 0, 1)).length, 1)
    assert.equal(await metric(router, 'spectrum_placements'), 1)
  })

  test('a released place is given to the next one, with a higher generation for the same user', async () => {
    const user = 'romeo@montague.example'
    const first = await frontend.router.login({ user, nickHint: '' })
    const others = Array.from({ length: 100 }, (_, index) => `user${index}@example.org`)
    await Promise.all(others.map(other => frontend.router.login({ user: other, nickHint: '' })))
    assert.equal([...(await placed()).values()].filter(({ backend }) => backend === 1).length, 1)
    await worker.router.release({ user, backend: first.backend, generation: first.generation - 1 })
    assert.ok((await placed()).has(user), 'another generation is not released')
    await worker.router.release({ user, backend: first.backend, generation: first.generation })
    await worker.router.release({ user, backend: first.backend, generation: first.generation })
    assert.equal((await placed()).has(user), false)
    assert.equal(await metric(router, 'spectrum_placements'), 100)
    const second = await frontend.router.login({ user, nickHint: '' })
    assert.equal(second.backend, 0)
    assert.ok(second.generation > first.generation)
  })

  test('a placement that was not finished is finished by the next login', async () => {
    const user = 'romeo@montague.example'
    const { backend, generation } = await frontend.router.login({ user, nickHint: '' })
    const key = placementKey(instance, user)
    await placements().put(key, Placement.create({ backend, generation, state: Placement_State.STATE_STARTING }))
    const again = await frontend.router.login({ user, nickHint: '' })
    assert.deepEqual(again, { backend, generation, state: Placement_State.STATE_STARTED, movedFrom: undefined })
    assert.deepEqual(
      (await readLane(worker, 0, 2)).map(command => command.generation),
      [generation, generation],
    )
    assert.equal(await metric(router, 'spectrum_logins_total', { result: 'finished' }), 1)
  })

  test('a new leader goes on with the counts of the old one', async () => {
    const users = Array.from({ length: 130 }, (_, index) => `user${index}@example.org`)
    await Promise.all(users.map(user => frontend.router.login({ user, nickHint: '' })))
    await router[Symbol.asyncDispose]()
    router = await startLocalRouter(nats, auto)
    await untilLeads(router)
    assert.equal(await metric(router, 'spectrum_placements'), 130)
    assert.equal(await metric(router, 'spectrum_router_recounts_total'), 0, 'counts were settled, nothing was scanned')
  })

  test('a new leader counts anew what the old one left in mid-change', async () => {
    const users = Array.from({ length: 30 }, (_, index) => `user${index}@example.org`)
    await Promise.all(users.map(user => frontend.router.login({ user, nickHint: '' })))
    await router[Symbol.asyncDispose]()
    await frontend.bus
      .table('occupancy', protoValue(Occupancy))
      .put(backendKey(instance, 0), { users: 90, isSettled: false })
    router = await startLocalRouter(nats, auto)
    await untilLeads(router)
    // Logging in goes on meanwhile.
    await Promise.all(users.slice(0, 5).map(user => frontend.router.login({ user: `new-${user}`, nickHint: '' })))
    const current = router
    await waitUntil(async () => (await metric(current, 'spectrum_placements')) === 35, {
      describe: () => current.log.lines.join('\n'),
    })
  })

  test('who is not registered is not let in', async () => {
    await router[Symbol.asyncDispose]()
    router = await startLocalRouter(nats)
    await untilLeads(router)
    await assert.rejects(frontend.router.login({ user: 'a@example.org', nickHint: '' }), failure('unavailable'))
    await worker.publishManifest()
    await assert.rejects(frontend.router.login({ user: 'a@example.org', nickHint: '' }), failure('not-registered'))
    await assert.rejects(frontend.router.login({ user: 'a@example.org/balcony', nickHint: '' }), failure('bad-request'))
    await worker.publishManifest({ isRequired: false, needsPassword: false })
    await frontend.router.login({ user: 'a@example.org', nickHint: 'nick' })
    assert.equal((await frontend.router.getRegistration({ user: 'a@example.org' })).username, 'nick')
  })
})

test('NATS loses all it kept: the key and the backends are published again, nobody is placed', async () => {
  await using folder = await TemporaryFolder.create('router')
  const storeDir = join(folder.path, 'store')
  await using nats = await startNats({ storeDir })
  await using router = await startLocalRouter(nats, auto)
  await using frontend = await Neighbour.connect(nats, 'frontend')
  await untilLeads(router)
  const user = 'romeo@montague.example'
  await frontend.router.login({ user, nickHint: '' })
  await nats.kill('SIGKILL')
  await rm(storeDir, { recursive: true })
  await nats.start()
  await waitUntil(
    () =>
      frontend.bus
        .table('backends', protoValue(Backend))
        .get(backendKey(instance, 0))
        .catch(() => undefined),
    { deadlineMs: 60_000, describe: () => router.log.lines.join('\n') },
  )
  await frontend.seal('the key is there')
  const placement = await waitUntil(() => frontend.router.login({ user, nickHint: '' }).catch(() => undefined), {
    deadlineMs: 60_000,
    describe: () => router.log.lines.join('\n'),
  })
  assert.equal(placement.backend, 0)
  await waitUntil(async () => (await metric(router, 'spectrum_placements')) === 1)
})

describe('placement while things fail', () => {
  let nats: NatsServer
  before(async () => {
    nats = await startNats()
  })
  after(() => nats[Symbol.asyncDispose]())

  test('NATS killed: readiness says so, and it works again when it is back', async () => {
    await using router = await startLocalRouter(nats, auto)
    await using frontend = await Neighbour.connect(nats, 'frontend')
    await untilLeads(router)
    assert.equal(router.service.ready?.(), true)
    await nats.kill('SIGKILL')
    await waitUntil(() => router.service.ready?.() !== true, { deadlineMs: 30_000 })
    await nats.start()
    await waitUntil(() => router.service.ready?.() === true, { deadlineMs: 60_000 })
    const placement = await waitUntil(
      () => frontend.router.login({ user: 'romeo@montague.example', nickHint: '' }).catch(() => undefined),
      { deadlineMs: 60_000, describe: () => router.log.lines.join('\n') },
    )
    assert.equal(placement.backend, 0)
  })
})

/** What the lane of a backend holds, as its owner reads it; ends when `count` commands have come. */
async function readLane(worker: Neighbour, backend: number, count: number): Promise<Command[]> {
  const ownership = await worker.bus.owners.acquire(backendResource(instance, backend))
  assert.ok(ownership)
  const commands: Command[] = []
  const consumer = await worker.bus.consume(commandLane(instance, backend), commandCodec, ownership, {
    onItem(delivery: Delivery<Command>) {
      commands.push(delivery.item)
      delivery.finish()
    },
    onLost() {},
  })
  await waitUntil(() => commands.length >= count, { describe: () => `${commands.length} commands` })
  await consumer.drain(5_000)
  await ownership.release()
  return commands
}
