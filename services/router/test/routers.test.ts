import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { instancePrefix, leaderResource, protoValue } from '@spectrum/bus'
import { Placement, Placement_State } from '@spectrum/messages'
import {
  type Child,
  freePort,
  type NatsServer,
  type PostgresServer,
  startBusServer,
  startNats,
  startPostgres,
  TemporaryFolder,
  waitUntil,
} from '@spectrum/stack'
import { failure, instance, jid, Neighbour, startLocalRouter, startRouterProcess, untilLeads } from './harness.ts'

describe('two routers on PostgreSQL', () => {
  let nats: NatsServer
  let postgres: PostgresServer
  let frontend: Neighbour
  let env: Record<string, string>
  const options = ['--database.type=pqxx', '--registration.auto_register=1', '--service.users_per_backend=50']

  before(async () => {
    ;[nats, postgres] = await Promise.all([startNats(), startPostgres()])
    frontend = await Neighbour.connect(nats, 'frontend')
    env = {
      SPECTRUM_DATABASE_CONNECTIONSTRING: await postgres.createDatabase(),
      SPECTRUM_MASTER_KEY: randomBytes(32).toString('base64'),
    }
  })
  after(async () => {
    for (const part of [frontend, postgres, nats]) await part[Symbol.asyncDispose]()
  })

  const leaderPid = async () => {
    const owner = await frontend.bus.owners.ownerOf(leaderResource(instance))
    if (!owner || frontend.bus.owners.isDead(owner.process)) return undefined
    return frontend.bus.owners.processes('router').find(router => router.process === owner.process)?.pid
  }

  async function login(user: string): Promise<Placement> {
    return frontend.router.login({ user, nickHint: '' }, { timeoutMs: 4_000 })
  }

  test('started at once both answer, one leads; while it is killed logins go on and nobody is placed twice', async () => {
    await using one = await startRouterProcess(nats, options, env)
    await using other = await startRouterProcess(nats, options, env)
    const pid = await waitUntil(leaderPid, { deadlineMs: 20_000 })
    const leader: Child = pid === one.pid ? one : other
    assert.equal(leader.pid, pid)

    const first = await Promise.all(Array.from({ length: 60 }, (_, index) => login(`first${index}@example.org`)))
    // Under way when the leader dies: whoever fails may ask again, and is then placed once.
    const second = Array.from({ length: 60 }, (_, index) => `second${index}@example.org`)
    const answers = Promise.all(
      second.map(user => waitUntil(() => login(user).catch(() => undefined), { deadlineMs: 60_000 })),
    )
    await waitUntil(async () => (await placements()).size > first.length)
    const killed = performance.now()
    await leader.kill('SIGKILL')
    const placed = await answers
    const gapMs = performance.now() - killed
    assert.ok(gapMs < 30_000, `logins went on after ${gapMs} ms`)

    const found = await placements()
    assert.equal(found.size, 120)
    for (const [index, user] of second.entries()) {
      assert.equal(found.get(user)?.generation, placed[index]?.generation)
      assert.equal(found.get(user)?.state, Placement_State.STATE_STARTED)
    }
    const perBackend = new Map<number, number>()
    for (const { backend } of found.values()) perBackend.set(backend, (perBackend.get(backend) ?? 0) + 1)
    for (const [backend, users] of perBackend) assert.ok(users <= 50, `backend ${backend} has ${users} users`)
    const survivor = leader === one ? other : one
    // All may have been answered before anybody knew of the death.
    await waitUntil(async () => (await leaderPid()) === survivor.pid, { deadlineMs: 20_000 })
  })

  test('the leader stops in an orderly way: the other one leads, its requests did not fail', async () => {
    await using one = await startRouterProcess(nats, options, env)
    await waitUntil(async () => (await leaderPid()) === one.pid, { deadlineMs: 60_000 })
    await using other = await startRouterProcess(nats, options, env)
    let stopped = false
    const stopping = one.stop().then(() => {
      stopped = true
    })
    const failures: unknown[] = []
    for (let count = 0; !stopped || count < 20; count++)
      await login(`third${count}@example.org`).catch(error => failures.push(error))
    await stopping
    assert.deepEqual(failures, [])
    assert.equal(one.exitCode, 0)
    await waitUntil(async () => (await leaderPid()) === other.pid)
  })

  test('PostgreSQL killed: requests fail in bounded time, readiness says so, and all works again when it is back', async () => {
    await using router = await startLocalRouter(nats, options, env)
    const user = 'romeo@montague.example'
    await waitUntil(() => login(user).catch(() => undefined), { deadlineMs: 20_000 })
    await postgres.kill('SIGKILL')
    const began = performance.now()
    await assert.rejects(frontend.router.getRegistration({ user }), failure('unavailable'))
    await assert.rejects(login('nobody@example.org'), failure('unavailable'))
    assert.ok(performance.now() - began < 30_000)
    // Who is placed already needs no database.
    assert.equal((await login(user)).state, Placement_State.STATE_STARTED)
    await waitUntil(() => router.service.ready?.() === 'the database is not available', { deadlineMs: 30_000 })
    await postgres.start()
    await waitUntil(() => router.service.ready?.() === true, { deadlineMs: 30_000 })
    assert.ok((await frontend.router.getRegistration({ user })).isRegistered)
    await login('somebody@example.org')
  })

  test('PostgreSQL away at the start: the router says so, is not ready, and starts when it is there', async () => {
    await postgres.stop()
    const port = await freePort()
    const starting = startRouterProcess(nats, [...options, `--http.port=${port}`], env)
    const readyz = () => fetch(`http://127.0.0.1:${port}/readyz`).catch(() => undefined)
    const answer = await waitUntil(async () => readyz(), { deadlineMs: 20_000 })
    assert.equal(answer.status, 503)
    await postgres.start()
    await using router = await starting
    assert.ok(router.log.includes('the database is not available; trying again'))
    await waitUntil(async () => (await readyz())?.status === 200)
    const metrics = await (await fetch(`http://127.0.0.1:${port}/metrics`)).text()
    assert.match(metrics, /^spectrum_registered_users\{/m)
    assert.match(metrics, /^spectrum_router_is_leader\{/m)
    assert.ok(!router.log.includes(new URL(env.SPECTRUM_DATABASE_CONNECTIONSTRING ?? '').password))
  })

  async function placements(): Promise<Map<string, Placement>> {
    const found = new Map<string, Placement>()
    const table = frontend.bus.table('placements', protoValue(Placement))
    for await (const { key, value } of table.list(instancePrefix(instance))) {
      found.set(Buffer.from(key.slice(key.lastIndexOf('.') + 1), 'base64url').toString(), value)
    }
    return found
  }
})

test('a second router on the same SQLite database is refused in one sentence', async () => {
  await using nats = await startNats()
  await using folder = await TemporaryFolder.create('router')
  const options = ['--database.type=sqlite3', `--database.database=${join(folder.path, 'database.sql')}`]
  await using router = await startLocalRouter(nats, options)
  await untilLeads(router)
  await assert.rejects(startRouterProcess(nats, options, {}), /Another router uses the SQLite database/)
})

test('the permissions of a router are enough, and those of its neighbours end where they should', async () => {
  const bus = await startBusServer(jid)
  await using nats = bus.nats
  const options = ['--registration.auto_register=1', '--service.users_per_backend=1']
  await using router = await startLocalRouter(nats, options, { SPECTRUM_NATS_NKEY_SEED: bus.seeds.router })
  await using frontend = await Neighbour.connect(nats, 'frontend', bus.seeds.frontend)
  await using worker = await Neighbour.connect(nats, 'worker', bus.seeds.worker)
  await untilLeads(router)
  await worker.publishManifest()
  await frontend.register('romeo@montague.example', 'romeo', 'password')
  const placements = []
  for (const user of ['romeo@montague.example', 'juliet@capulet.example']) {
    placements.push(await frontend.router.login({ user, nickHint: '' }))
  }
  assert.deepEqual(
    placements.map(placement => placement.backend),
    [0, 1],
  )
  const [placement] = placements
  assert.ok(placement)
  const release = { user: 'romeo@montague.example', backend: 0, generation: placement.generation }
  await assert.rejects(frontend.router.release(release, { timeoutMs: 2_000 }))
  await worker.router.release(release)
  await frontend.router.unregister({ user: 'romeo@montague.example' })
  assert.ok(!router.log.lines.some(line => /permission/i.test(line)), router.log.lines.join('\n'))
})
