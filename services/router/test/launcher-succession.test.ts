import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { hostname } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import { type Bus, connectBus, type ProcessInfo } from '@spectrum/bus'
import { type Child, type NatsServer, type PostgresServer, startNats, startPostgres, waitUntil } from '@spectrum/stack'
import { findProcesses } from '../src/launchers/host-workers.ts'
import { instance, ListLog, startRouterProcess } from './harness.ts'
import { idlePids, idlePlaces, lonelyOwners, startIdleLauncher, untilIdle, withIdleWorkers } from './idle-workers.ts'

const workerProgram = join(import.meta.dirname, '../../worker/src/main.ts')

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
      assert.ok(victim !== undefined)
      process.kill(victim, 'SIGKILL')
      // Until it is gone it would be taken for the one that replaces it.
      await waitUntil(() => !idlePids(mark).includes(victim))
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

describe('two routers that start workers', () => {
  let nats: NatsServer
  let postgres: PostgresServer
  let env: Record<string, string>
  const routers: Child[] = []
  const options = ['--database.type=pqxx', '--launcher.type=process', '--launcher.min_workers=2']

  before(async () => {
    ;[nats, postgres] = await Promise.all([startNats(), startPostgres()])
    env = {
      SPECTRUM_DATABASE_CONNECTIONSTRING: await postgres.createDatabase(),
      SPECTRUM_MASTER_KEY: randomBytes(32).toString('base64'),
    }
  })
  after(async () => {
    for (const router of routers) await router.kill('SIGKILL')
    for (const pid of workers()) process.kill(pid, 'SIGKILL')
    for (const part of [postgres, nats]) await part[Symbol.asyncDispose]()
  })

  /** Words that all these workers have and no router. */
  const workers = () =>
    findProcesses([workerProgram, '--launcher.type=process', `--nats.servers=${nats.url}`]).map(({ pid }) => pid)

  /** The leader, which has started its workers, and the other one. */
  async function startTwo(): Promise<[Child, Child]> {
    const leader = await startRouterProcess(nats, options, env)
    routers.push(leader)
    await waitUntil(() => leader.log.includes('this router leads'), { describe: () => leader.log })
    const other = await startRouterProcess(nats, options, env)
    routers.push(other)
    await waitUntil(() => workers().length === 2, { deadlineMs: 60_000, describe: () => leader.log })
    return [leader, other]
  }

  test('told to stop at once they leave no worker', async () => {
    const both = await startTwo()
    const describe = () => `${workers()}\n${both.map(({ log }) => log).join('\n')}`
    await Promise.all(both.map(router => router.kill('SIGTERM')))
    assert.deepEqual(workers(), [], describe())
    assert.deepEqual(
      both.map(({ exitCode }) => exitCode),
      [0, 0],
      describe(),
    )
  })

  test('one that stood still while the other led has all workers when it leads again', {
    timeout: 240_000,
  }, async () => {
    const [one, other] = await startTwo()
    const describe = () => `${workers()}\n── one\n${one.log}\n── other\n${other.log}`
    const untilReplaced = async (victim: number | undefined) => {
      assert.ok(victim !== undefined)
      process.kill(victim, 'SIGKILL')
      await waitUntil(() => !workers().includes(victim) && workers().length === 2, { deadlineMs: 60_000, describe })
    }
    const untilLeads = (router: Child, times: number) =>
      waitUntil(() => router.log.split('this router leads').length > times, { deadlineMs: 60_000, describe })

    await one.kill('SIGSTOP')
    await untilLeads(other, 1)
    const [victim, kept] = workers()
    await untilReplaced(victim)
    const before = workers()
    await one.kill('SIGCONT')
    const seen = new Set<string>()
    const until = performance.now() + 4_000
    await waitUntil(() => {
      seen.add(workers().join())
      return performance.now() > until
    })
    assert.deepEqual([...seen], [before.join()], describe())

    await other.kill('SIGKILL')
    await untilLeads(one, 2)
    await untilReplaced(kept)
    // Among them one that the other has started.
    await one.stop()
    assert.deepEqual(workers(), [], describe())
  })
})
