import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { hostname } from 'node:os'
import { test } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import { type Bus, connectBus, type ProcessInfo } from '@spectrum/bus'
import { type Child, type NatsServer, startNats, startPostgres, waitUntil } from '@spectrum/stack'
import { findProcesses } from '../src/launchers/host-workers.ts'
import { instance, jid, ListLog, startRouterProcess } from './harness.ts'
import { idlePids, idlePlaces, lonelyOwners, startIdleLauncher, untilIdle, withIdleWorkers } from './idle-workers.ts'

test('a worker that is started after a fail-over takes a place that is free', async () => {
  const mark = `places-${process.pid}`
  await withIdleWorkers(mark, async () => {
    const { launcher: former } = startIdleLauncher(mark)
    await untilIdle(former, mark, 3)
    const { launcher } = startIdleLauncher(mark)
    launcher.wanted(3)
    for (const place of [0, 2, 1]) {
      const [victim] = findProcesses([mark, `place=${place}`])
      assert.ok(victim)
      process.kill(victim.pid, 'SIGKILL')
      await waitUntil(() => !idlePids(mark).includes(victim.pid))
      await untilIdle(launcher, mark, 3)
      assert.deepEqual(idlePlaces(mark), [0, 1, 2])
    }
    await launcher[Symbol.asyncDispose]()
    assert.deepEqual(idlePids(mark), [])
  })
})

test('a leader knows what another one has started since it last led', async () => {
  const mark = `again-${process.pid}`
  await withIdleWorkers(mark, async () => {
    const { launcher: one } = startIdleLauncher(mark)
    await untilIdle(one, mark, 1)
    const { launcher: other } = startIdleLauncher(mark)
    await untilIdle(other, mark, 3)
    const before = idlePids(mark)
    one.wanted(3)
    await delay(300)
    assert.deepEqual(idlePids(mark), before)
    // It has them: one of two too many ends, and then the other.
    await untilIdle(one, mark, 1)
    await other[Symbol.asyncDispose]()
    assert.deepEqual(idlePids(mark), [])
  })
})

test('however leaders change and workers crash, there are never more of them than wanted', async () => {
  const mark = `bound-${process.pid}`
  await withIdleWorkers(mark, async () => {
    const launchers = [startIdleLauncher(mark), startIdleLauncher(mark)] as const
    const most = 3
    for (let round = 0; round < 8; round++) {
      const { launcher } = launchers[round % 2 === 0 ? 0 : 1]
      await waitUntil(
        () => {
          launcher.wanted(most)
          const { length } = idlePids(mark)
          assert.ok(length <= most, `${length} workers in round ${round}`)
          return length === most
        },
        { deadlineMs: 40_000 },
      )
      assert.deepEqual(idlePlaces(mark), [0, 1, 2])
      const victim = idlePids(mark)[round % most]
      if (victim !== undefined) process.kill(victim, 'SIGKILL')
    }
    for (const { launcher } of launchers) await launcher[Symbol.asyncDispose]()
    assert.deepEqual(idlePids(mark), [])
  })
})

const connectRouter = (nats: NatsServer): Promise<Bus> =>
  connectBus({ servers: [nats.url], service: 'router', instance, log: new ListLog() })

test('workers are left to another router, and the last one stops them; whichever of several at once that is', async () => {
  await using nats = await startNats()
  const mark = `heirs-${process.pid}`
  await withIdleWorkers(mark, async () => {
    for (let round = 0; round < 5; round++) {
      await using resources = new AsyncDisposableStack()
      const buses = await Promise.all([1, 2, 3].map(() => connectRouter(nats)))
      const launchers = buses.map(bus => {
        resources.use(bus)
        return startIdleLauncher(mark, { owners: bus.owners, self: bus.processId })
      })
      const [one, ...others] = launchers
      assert.ok(one)
      await untilIdle(one.launcher, mark, 2)
      const before = idlePids(mark)
      const heirs = () => buses.flatMap(bus => bus.owners.processes('router')).filter(({ info }) => info.adopts)
      await waitUntil(() => heirs().length === 9)
      await one.launcher[Symbol.asyncDispose]()
      assert.deepEqual(idlePids(mark), before)
      await Promise.all(
        others.map(async ({ launcher }) => {
          await delay(Math.random() * 20 * round)
          await launcher[Symbol.asyncDispose]()
        }),
      )
      assert.deepEqual(idlePids(mark), [], `round ${round}`)
    }
  })
})

test('workers of this machine are not left to a router that would not have them', async () => {
  const mark = `strangers-${process.pid}`
  const router = { process: 'other', service: 'router', host: hostname(), pid: 1, info: { adopts: mark } } as const
  const strangers: ProcessInfo[] = [
    { ...router, host: `not-${hostname()}` },
    { ...router, info: {} },
    { ...router, info: { adopts: 'workers of another program' } },
  ]
  await withIdleWorkers(mark, async () => {
    for (const stranger of strangers) {
      const { launcher } = startIdleLauncher(mark, { owners: lonelyOwners([stranger]) })
      await untilIdle(launcher, mark, 1)
      await launcher[Symbol.asyncDispose]()
      assert.deepEqual(idlePids(mark), [], JSON.stringify(stranger))
    }
    const { launcher } = startIdleLauncher(mark, { owners: lonelyOwners([router]) })
    await untilIdle(launcher, mark, 1)
    await launcher[Symbol.asyncDispose]()
    assert.equal(idlePids(mark).length, 1)
  })
})

test('two routers that are told to stop at once leave no worker', { timeout: 240_000 }, async () => {
  await using nats = await startNats()
  await using postgres = await startPostgres()
  const env = {
    SPECTRUM_DATABASE_CONNECTIONSTRING: await postgres.createDatabase(),
    SPECTRUM_MASTER_KEY: randomBytes(32).toString('base64'),
  }
  const options = ['--database.type=pqxx', '--launcher.type=process', '--launcher.min_workers=2']
  const workers = () =>
    findProcesses(['--launcher.type=process', `--service.jid=${jid}`, `--nats.servers=${nats.url}`])
      .filter(({ pid }) => !routers.some(router => router.pid === pid))
      .map(({ pid }) => pid)
  const routers: Child[] = []
  try {
    for (let count = 0; count < 2; count++) routers.push(await startRouterProcess(nats, options, env))
    const describe = () => `${workers()}\n${routers.map(({ log }) => log).join('\n')}`
    await waitUntil(() => workers().length === 2, { deadlineMs: 60_000, describe })
    await Promise.all(routers.map(router => router.kill('SIGTERM')))
    assert.deepEqual(workers(), [], describe())
    assert.deepEqual(
      routers.map(({ exitCode }) => exitCode),
      [0, 0],
      describe(),
    )
  } finally {
    for (const router of routers) await router.stop()
    for (const pid of workers()) process.kill(pid, 'SIGKILL')
  }
})
