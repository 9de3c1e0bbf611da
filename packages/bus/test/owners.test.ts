import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import type { Owner } from '../src/index.ts'
import { startServer, type TestServer } from './nats-server.ts'
import { OwnerChild } from './owner-child.ts'
import { Sink } from './sink.ts'
import { openBus, type TestBus } from './test-bus.ts'
import { until } from './until.ts'

const timings = { heartbeatMs: 200, leaseMs: 800, deathMs: 1200 }
let server: TestServer
before(async () => {
  server = await startServer()
})
after(() => server[Symbol.asyncDispose]())

test('a resource has one owner; release hands it on at once, with a higher epoch', async () => {
  await using one = await openBus(server.url)
  await using two = await openBus(server.url)
  const seen: (Owner | undefined)[] = []
  using _watch = await two.bus.owners.watch('backend.r.', (_, owner) => void seen.push(owner))
  const first = await one.bus.owners.acquire('backend.r.1')
  assert.ok(first)
  assert.ok(first.mayAct())
  assert.equal(await one.bus.owners.acquire('backend.r.1'), undefined)
  assert.equal(await two.bus.owners.acquire('backend.r.1'), undefined)
  assert.deepEqual(await two.bus.owners.ownerOf('backend.r.1'), { process: one.bus.processId, epoch: first.epoch })
  const reasons: string[] = []
  using _lost = first.onLost(reason => void reasons.push(reason))
  await first.release()
  assert.equal(first.mayAct(), false)
  assert.deepEqual(reasons, ['released'])
  const second = await two.bus.owners.acquire('backend.r.1')
  assert.equal(second?.epoch, first.epoch + 1)
  await until(() => seen.length === 3)
  assert.deepEqual(
    seen.map(owner => owner?.process),
    [one.bus.processId, undefined, two.bus.processId],
  )
})

test('ten contenders, one winner', async () => {
  const buses = await Promise.all(Array.from({ length: 10 }, () => openBus(server.url)))
  const won = await Promise.all(buses.map(({ bus }) => bus.owners.acquire('backend.r.2')))
  assert.equal(won.filter(Boolean).length, 1)
  await Promise.all(buses.map(bus => bus[Symbol.asyncDispose]()))
})

test('a process is dead when its pid is gone, and its resources are free; live ones are listed', async () => {
  await using sink = new Sink()
  await using bus = await openBus(server.url)
  const child = await OwnerChild.start({ url: server.url, backend: 7, sinkPort: await sink.listen(), holdMs: 0 })
  const { owners } = bus.bus
  await until(() => owners.processes('worker').some(({ process }) => process === child.processId))
  const info = owners.processes('worker').find(({ process }) => process === child.processId)
  assert.equal(info?.pid, child.pid)
  await until(() => owners.processes().find(({ pid }) => pid === child.pid)?.info.test === true)
  child.take()
  await until(() => child.owns !== undefined)
  const dead: string[] = []
  using _deaths = owners.onDeath(process => void dead.push(process))
  await child.kill()
  // Polled every second.
  await until(() => dead.includes(child.processId), { deadlineMs: 6000 })
  assert.ok(owners.isDead(child.processId))
  assert.ok(!owners.processes().some(({ process }) => process === child.processId))
  const told = ({ logs }: TestBus) =>
    logs
      .filter(({ message, fields }) => / is gone$/.test(message) && Object.values(fields).includes(child.processId))
      .map(({ level }) => level)
  assert.deepEqual(told(bus), ['info'])
  // For who comes later it is no news.
  await using late = await openBus(server.url)
  await until(() => told(late).length > 0, { deadlineMs: 6000 })
  assert.deepEqual(told(late), ['debug'])
  assert.ok(late.bus.owners.isDead(child.processId))
})

test('NATS away longer than the lease: everybody pauses, nobody is declared dead, the same owner goes on', async () => {
  await using own = await startServer()
  // Who connects again may do so 2 s later than the other.
  const patient = { ...timings, deathMs: 3_000 }
  await using one = await openBus(own.url, { timings: patient })
  await using two = await openBus(own.url, { timings: patient })
  const ownership = await one.bus.owners.acquire('backend.r.3')
  assert.ok(ownership)
  assert.ok(ownership.mayAct())
  const lost: string[] = []
  const dead: string[] = []
  ownership.onLost(reason => void lost.push(reason))
  one.bus.owners.onDeath(process => void dead.push(process))
  two.bus.owners.onDeath(process => void dead.push(process))
  await own.kill()
  await until(() => !ownership.mayAct())
  // A renewal without a connection is given up after 2 s, so that two take longer than it takes to be dead; the first one of the
  // outage may have failed at once.
  const failures = ({ logs }: TestBus) => logs.filter(({ message }) => message.includes('could not renew')).length
  await until(() => failures(one) >= 3 && failures(two) >= 3, { deadlineMs: 30_000 })
  await own.start()
  await until(() => ownership.mayAct(), { deadlineMs: 15_000 })
  assert.equal(await two.bus.owners.acquire('backend.r.3'), undefined)
  // Nor afterwards, while each hears so many heartbeats of the other as there are in twice the time.
  const heard = (by: TestBus, of: TestBus) =>
    by.bus.owners.processes().find(({ process }) => process === of.bus.processId)?.info.round
  for (let round = 1; round <= (2 * patient.deathMs) / patient.heartbeatMs; round++) {
    for (const { bus } of [one, two]) bus.owners.setInfo({ round })
    await until(() => heard(one, two) === round && heard(two, one) === round)
  }
  assert.equal(await two.bus.owners.acquire('backend.r.3'), undefined)
  assert.deepEqual({ lost, dead }, { lost: [], dead: [] })
  assert.ok(ownership.mayAct())
})

test('a live process that is reported dead keeps what nobody took, and gives up what was taken', async () => {
  await using one = await openBus(server.url)
  await using two = await openBus(server.url)
  const kept = await one.bus.owners.acquire('backend.r.4')
  const taken = await one.bus.owners.acquire('backend.r.5')
  assert.ok(kept && taken)
  await until(() => two.bus.owners.processes().some(({ process }) => process === one.bus.processId))
  two.bus.owners.reportDeath(one.bus.processId)
  assert.ok(two.bus.owners.isDead(one.bus.processId))
  await until(async () => (await two.bus.owners.acquire('backend.r.5')) !== undefined)
  // A second report makes it look again, whichever came first above.
  two.bus.owners.reportDeath(one.bus.processId)
  await until(() => !taken.mayAct())
  await until(() => kept.mayAct())
  assert.equal(await one.bus.owners.acquire('backend.r.5'), undefined)
})
