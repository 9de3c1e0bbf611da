import assert from 'node:assert/strict'
import { afterEach, beforeEach, describe, test } from 'node:test'
import { backendKey, backendResource, commandLane, placementKey, protoValue } from '@spectrum/bus'
import { Backend, Command, commandCodec, Placement, Placement_State } from '@spectrum/messages'
import { type NatsServer, startNats, waitUntil } from '@spectrum/stack'
import { busyBackends } from '../src/placement/busy-lanes.ts'
import { Upkeep } from '../src/placement/upkeep.ts'
import { failure, instance, type LocalRouter, metric, Neighbour, startLocalRouter, untilLeads } from './harness.ts'
import { type Placing, startPlacing } from './placing.ts'

const romeo = 'romeo@montague.example'

/** All that the lane of a backend brings, in order; finished at once. */
async function follow(worker: Neighbour, backend: number): Promise<{ commands: Command[]; epoch: number }> {
  const ownership = await worker.bus.owners.acquire(backendResource(instance, backend))
  assert.ok(ownership)
  const commands: Command[] = []
  await worker.bus.consume(commandLane(instance, backend), commandCodec, ownership, {
    onItem(delivery) {
      commands.push(delivery.item)
      delivery.finish()
    },
    onLost() {},
  })
  return { commands, epoch: ownership.epoch }
}

describe('moving sessions', () => {
  let nats: NatsServer
  let router: LocalRouter
  let frontend: Neighbour
  let worker: Neighbour
  const options = ['--registration.auto_register=1', '--service.idle_reconnect_time=60']

  beforeEach(async () => {
    nats = await startNats()
    router = await startLocalRouter(nats, options)
    frontend = await Neighbour.connect(nats, 'frontend')
    worker = await Neighbour.connect(nats, 'worker')
    await untilLeads(router)
  })
  afterEach(async () => {
    for (const part of [worker, frontend, router, nats]) await part[Symbol.asyncDispose]()
  })

  const placements = () => frontend.bus.table('placements', protoValue(Placement))
  const placementOf = async (user: string) => (await placements().get(placementKey(instance, user)))?.value

  test('idle users go to a backend for them, through the lane of the old one', async () => {
    const before = await frontend.router.login({ user: romeo, nickHint: '' })
    const { commands, epoch } = await follow(worker, 0)
    const nobody = 'nobody@example.org'
    await worker.router.reportIdle({ backend: 0, epoch, users: [romeo, nobody] })
    const after = await placementOf(romeo)
    assert.ok(after)
    assert.notEqual(after.backend, 0)
    assert.ok(after.generation > before.generation)
    assert.equal(after.state, Placement_State.STATE_STARTED)
    assert.deepEqual(after.movedFrom, { backend: 0, generation: before.generation })
    const backends = frontend.bus.table('backends', protoValue(Backend))
    assert.equal((await backends.get(backendKey(instance, after.backend)))?.value.isLongRun, true)
    await waitUntil(() => commands.length >= 2, { describe: () => JSON.stringify(commands) })
    const [start, move] = commands
    assert.equal(start?.command?.$case, 'startSession')
    assert.equal(move?.generation, before.generation)
    assert.deepEqual(move?.command, {
      $case: 'moveSession',
      value: { backend: after.backend, generation: after.generation },
    })
    assert.equal(await metric(router, 'spectrum_session_moves_total', { result: 'moved' }), 1)
    assert.equal(await metric(router, 'spectrum_session_moves_total', { result: 'gone' }), 1)
    assert.equal(await metric(router, 'spectrum_placements'), 1)

    // New users do not come there.
    const juliet = await frontend.router.login({ user: 'juliet@capulet.example', nickHint: '' })
    assert.equal(juliet.backend, 0)
    // Who is there already is not moved again.
    const { epoch: longRunEpoch } = await follow(worker, after.backend)
    await worker.router.reportIdle({ backend: after.backend, epoch: longRunEpoch, users: [romeo] })
    assert.deepEqual(await placementOf(romeo), after)
  })

  test('only the worker that runs the backend may ask', async () => {
    await frontend.router.login({ user: romeo, nickHint: '' })
    await assert.rejects(worker.router.reportIdle({ backend: 0, epoch: 1, users: [romeo] }), failure('not-allowed'))
    await assert.rejects(frontend.router.reportIdle({ backend: 0, epoch: 1, users: [romeo] }), failure('not-allowed'))
  })

  test('a session that ended before it was asked to move is released under its old name', async () => {
    const before = await frontend.router.login({ user: romeo, nickHint: '' })
    const { epoch } = await follow(worker, 0)
    await worker.router.reportIdle({ backend: 0, epoch, users: [romeo] })
    await worker.router.release({ user: romeo, backend: 0, generation: before.generation })
    assert.equal(await placementOf(romeo), undefined)
    assert.equal(await metric(router, 'spectrum_placements'), 0)
  })

  test('a move that nobody finished is finished by the next login', async () => {
    const { generation } = await frontend.router.login({ user: romeo, nickHint: '' })
    const { commands } = await follow(worker, 0)
    const movedFrom = { backend: 0, generation }
    const begun = { backend: 1, generation: generation + 1, state: Placement_State.STATE_STARTING, movedFrom }
    await placements().put(placementKey(instance, romeo), begun)
    const placement = await frontend.router.login({ user: romeo, nickHint: '' })
    assert.deepEqual(placement, { ...begun, state: Placement_State.STATE_STARTED })
    await waitUntil(() => commands.some(({ command }) => command?.$case === 'moveSession'))
    assert.equal(commands.filter(({ command }) => command?.$case === 'startSession').length, 1)
  })

  test('a move whose leader died is finished by the next leader, and counted right', async () => {
    const { generation } = await frontend.router.login({ user: romeo, nickHint: '' })
    await router[Symbol.asyncDispose]()
    // As the leader leaves it that dies after its first write.
    const movedFrom = { backend: 0, generation }
    const begun = { backend: 1, generation: generation + 1, state: Placement_State.STATE_STARTING, movedFrom }
    await placements().put(placementKey(instance, romeo), begun)
    const occupancy = frontend.bus.table('occupancy', {
      encode: (bytes: Uint8Array) => bytes,
      decode: (bytes: Uint8Array) => bytes,
    })
    for (const backend of [0, 1]) await occupancy.put(backendKey(instance, backend), Uint8Array.of(8, 1))
    router = await startLocalRouter(nats, options)
    const { commands } = await follow(worker, 0)
    await waitUntil(() => commands.some(({ command }) => command?.$case === 'moveSession'), {
      deadlineMs: 30_000,
      describe: () => router.log.lines.join('\n'),
    })
    await waitUntil(async () => (await placementOf(romeo))?.state === Placement_State.STATE_STARTED)
    assert.equal(await metric(router, 'spectrum_placements'), 1)
    assert.equal(await metric(router, 'spectrum_session_moves_total', { result: 'finished' }), 1)
  })
})

describe('as many backends as needed', () => {
  let nats: NatsServer
  let placing: Placing
  let worker: Neighbour
  let now = 0
  let upkeep: Upkeep

  async function start(options: Parameters<typeof startPlacing>[1] = {}): Promise<void> {
    placing = await startPlacing(nats, { usersPerBackend: 2, ...options })
    now = 0
    upkeep = new Upkeep({
      occupancy: placing.occupancy,
      log: placing.log,
      workers: () => [{ process: 'worker', info: { rss: 1, sessions: { 0: 1, 1: 2 } } }],
      busyLanes: highest => busyBackends(worker.bus, instance, highest),
      memoryCollectorMs: 0,
      now: () => now,
    })
  }
  beforeEach(async () => {
    nats = await startNats()
    worker = await Neighbour.connect(nats, 'worker')
  })
  afterEach(async () => {
    for (const part of [placing, worker, nats]) await part[Symbol.asyncDispose]()
  })

  const login = (user: string) => placing.term.login({ user, nickHint: '' })
  const numbers = async () => {
    const found: string[] = []
    for await (const { value } of worker.bus.table('backends', protoValue(Backend)).list(`${instance}.`))
      found.push(`${value.number}${value.isRetired ? ' retired' : ''}`)
    return found.sort()
  }
  const release = async (user: string) => {
    const { backend, generation } = await login(user)
    await placing.term.release({ user, backend, generation })
  }
  /** Looks after the backends, at the time so many seconds after the start. */
  const sweepAt = async (seconds: number) => {
    now = seconds * 1000
    await upkeep.sweep()
  }

  test('empty ones are retired with patience, and removed when their lanes are quiet; the number is used again', async () => {
    await start()
    const users = ['a', 'b', 'c', 'd', 'e'].map(name => `${name}@example.org`)
    for (const user of users) await login(user)
    await waitUntil(async () => (await numbers()).join() === '0,1,2,3', {
      describe: () => placing.log.lines.join('\n'),
    })
    // The last ones are still to be read by the workers.
    for (const user of users.slice(2)) await release(user)
    await sweepAt(0)
    await sweepAt(59)
    assert.deepEqual(await numbers(), ['0', '1', '2', '3'], 'no flapping')
    await sweepAt(60)
    assert.deepEqual(await numbers(), ['0', '1', '2 retired', '3 retired'], 'the spare stays')
    await sweepAt(61)
    await sweepAt(90)
    assert.deepEqual(await numbers(), ['0', '1', '2 retired'], 'something is in the lane of 2')
    await follow(worker, 2)
    await waitUntil(async () => !(await busyBackends(worker.bus, instance, 2)).has(2), { deadlineMs: 40_000 })
    await sweepAt(91)
    await sweepAt(110)
    assert.deepEqual(await numbers(), ['0', '1'])

    // Somebody who did not know sends there all the same.
    const lane = worker.bus.publisher(commandLane(instance, 3), commandCodec)
    lane.publish(Command.create({ key: 'late', user: 'late@example.org' }))
    await lane.durable()
    await sweepAt(111)
    assert.deepEqual(await numbers(), ['0', '1', '3 retired'])
    await login('x@example.org')
    await waitUntil(async () => (await numbers()).join() === '0,1,2,3 retired')
  })

  test('without service.reuse_old_backends a backend that was full gets nobody any more', async () => {
    await start({ reuseOldBackends: false })
    await login('a@example.org')
    await login('b@example.org')
    await waitUntil(async () => (await numbers()).join() === '0 retired,1')
    await release('a@example.org')
    assert.equal((await login('c@example.org')).backend, 1)
  })

  test('the backend with most users in the largest worker gets no new ones', async () => {
    await start()
    await login('a@example.org')
    await login('b@example.org')
    await login('c@example.org')
    await upkeep.collectMemory()
    assert.deepEqual((await numbers()).slice(0, 2), ['0', '1 retired'])
    assert.equal((await login('d@example.org')).backend, 2)
  })

  test('with service.login_delay users come one after the other', async () => {
    await start({ loginDelayMs: 200 })
    const began = performance.now()
    await Promise.all(['a', 'b', 'c', 'd'].map(name => login(`${name}@example.org`)))
    assert.ok(performance.now() - began >= 600 - 5)
  })
})
