import assert from 'node:assert/strict'
import { join } from 'node:path'
import { test } from 'node:test'
import { Child, freePort, type NatsServer, startNats, waitUntil } from '@spectrum/stack'
import { findProcesses } from '../src/launchers/host-workers.ts'
import { Neighbour } from './harness.ts'
import { idlePids, startIdleLauncher, untilIdle, withIdleWorkers } from './idle-workers.ts'

const program = (service: string) => join(import.meta.dirname, `../../${service}/src/main.ts`)
const jid = 'launched.example.org'
const marks = [program('worker'), '--launcher.type=process', `--service.jid=${jid}`]
const workerPids = () => findProcesses(marks).map(({ pid }) => pid)

function startLaunchingRouter(nats: NatsServer, port: number, workerPort: number): Promise<Child> {
  const options = [
    `--service.jid=${jid}`,
    '--service.backend=parrot',
    `--nats.servers=${nats.url}`,
    '--registration.auto_register=1',
    '--service.users_per_backend=2',
    '--worker.backends_per_worker=2',
    '--launcher.type=process',
    '--launcher.max_workers=3',
    `--http.port=${port}`,
    `--launcher.worker_http_port=${workerPort}`,
  ]
  return Child.start({
    name: 'router',
    command: process.execPath,
    args: [program('router'), ...options],
    isReady: child => child.log.includes('this router leads'),
    readyWithinMs: 60_000,
    stopWithinMs: 60_000,
  })
}

test('the leading router keeps as many workers as it needs, also after it was killed', {
  timeout: 240_000,
}, async () => {
  await using nats = await startNats()
  const port = await freePort()
  const workerPort = await freePort()
  let router = await startLaunchingRouter(nats, port, workerPort)
  try {
    await using frontend = await Neighbour.connect(nats, 'frontend', undefined, jid)
    const describe = () => `${workerPids()}\n${router.log}`
    const alive = () => frontend.bus.owners.processes('worker').map(({ pid }) => pid)
    const untilAre = (count: number) =>
      waitUntil(() => alive().length === count && workerPids().length === count, { deadlineMs: 60_000, describe })

    await untilAre(1)
    for (const name of ['romeo', 'juliet', 'nurse', 'tybalt', 'paris'])
      await waitUntil(
        () => frontend.router.login({ user: `${name}@example.org`, nickHint: name }).catch(() => undefined),
        { deadlineMs: 30_000, describe },
      )
    // Three backends with users and the spare one.
    await untilAre(2)
    const metrics = await (await fetch(`http://127.0.0.1:${port}/metrics`)).text()
    assert.match(metrics, /^spectrum_backends_wanted\{.*\} 4$/m)
    assert.match(metrics, /^spectrum_workers_wanted\{.*\} 2$/m)

    // Its death is told at once, and another one takes its place.
    const [victim = 0, other = 0] = workerPids()
    const { process: name = '' } = frontend.bus.owners.processes('worker').find(({ pid }) => pid === victim) ?? {}
    process.kill(victim, 'SIGKILL')
    await waitUntil(() => frontend.bus.owners.isDead(name), { deadlineMs: 10_000, describe })
    await untilAre(2)
    assert.ok(workerPids().includes(other) && !workerPids().includes(victim))

    // Nobody online notices that the router is gone, and the next one finds what is there.
    const before = workerPids()
    await router.kill('SIGKILL')
    router = await startLaunchingRouter(nats, port, workerPort)
    await waitUntil(() => router.log.includes('workers that another router started are adopted'), { describe })
    const seen = new Set<string>()
    const until = performance.now() + 5_000
    await waitUntil(
      () => {
        seen.add(workerPids().sort().join())
        return performance.now() > until
      },
      { deadlineMs: 30_000 },
    )
    assert.deepEqual([...seen], [before.sort().join()])

    // One of those that it did not start dies: the new one gets a port that is free.
    const [adopted] = findProcesses([...marks, `--http.port=${workerPort}`])
    assert.ok(adopted)
    process.kill(adopted.pid, 'SIGKILL')
    await waitUntil(() => !workerPids().includes(adopted.pid))
    await untilAre(2)
    const isReady = (place: number) => fetch(`http://127.0.0.1:${workerPort + place}/readyz`).then(({ ok }) => ok)
    await waitUntil(
      () =>
        Promise.all([0, 1].map(isReady))
          .then(all => all.every(Boolean))
          .catch(() => false),
      {
        deadlineMs: 30_000,
        describe,
      },
    )

    await router.stop()
    assert.deepEqual(workerPids(), [])
  } finally {
    await router.stop()
    for (const pid of workerPids()) process.kill(pid, 'SIGKILL')
  }
})

test('one worker too many is stopped after a while, one after the other; what is left ends with the launcher', async () => {
  const { launcher, exits, pids } = startIdleLauncher(`idle-${process.pid}`)
  await using _launcher = launcher
  const untilRun = (count: number) =>
    waitUntil(() => {
      launcher.wanted(count)
      return pids().length === count
    })
  await untilRun(3)
  await untilRun(1)
  // The process is gone a moment before its end is told.
  await waitUntil(() => exits.length === 2)
  assert.deepEqual(exits, ['stopped', 'stopped'])
  await untilRun(2)
  await launcher[Symbol.asyncDispose]()
  assert.deepEqual(pids(), [])
})

test('a worker that is not heard of is replaced, also one that takes no notice of being asked to end', async () => {
  const mark = `unheard-${process.pid}`
  const code = 'process.on("SIGTERM", () => {}); setInterval(() => {}, 1000)'
  await withIdleWorkers(mark, async () => {
    const { launcher: former } = startIdleLauncher(mark, { code })
    await untilIdle(former, mark, 1)
    const before = idlePids(mark)
    const { launcher, log } = startIdleLauncher(mark, { unheardMs: 1_000 })
    await waitUntil(
      () => {
        launcher.wanted(1)
        assert.ok(idlePids(mark).length <= 1)
        return !idlePids(mark).includes(before[0] ?? 0) && idlePids(mark).length === 1
      },
      { describe: () => log.lines.join('\n') },
    )
    await launcher[Symbol.asyncDispose]()
  })
})

test('a worker that crashes again and again is started after longer and longer pauses', async () => {
  const { launcher, log, exits } = startIdleLauncher(`crash-${process.pid}`, { code: 'throw new Error("no")' })
  await using _launcher = launcher
  await waitUntil(
    () => {
      launcher.wanted(1)
      return exits.length === 4
    },
    { deadlineMs: 60_000, describe: () => log.lines.join('\n') },
  )
  assert.deepEqual(new Set(exits), new Set(['crashed']))
  const pauses = log.lines.flatMap(line => /"pauseMs":(\d+)/.exec(line)?.[1] ?? [])
  assert.deepEqual(pauses, ['0', '500', '1000', '2000'])
})
