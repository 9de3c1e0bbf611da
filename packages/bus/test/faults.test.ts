import assert from 'node:assert/strict'
import { test } from 'node:test'
import { commandLane, type LanePublisher } from '../src/index.ts'
import { startServer } from './nats-server.ts'
import { OwnerChild } from './owner-child.ts'
import { Sink } from './sink.ts'
import { instance, type Line, lineCodec, openBus } from './test-bus.ts'
import { until } from './until.ts'

const users = 50
const kills = 10
/** The promise is 100 ms when the death is known; a busy machine gets five times as much. */
const maxMedianGapMs = 500
/** 64 items, and what is finished during one round trip of the cursor at 20,000/s; five times as much. */
const maxDoubledPerKill = 5 * (64 + 20 * 8)

/** Publishes `perSecond` items a second until it is stopped. */
class Load implements Disposable {
  sent = 0
  readonly #timer: NodeJS.Timeout
  readonly #start = performance.now()

  constructor(publisher: LanePublisher<Line>, perSecond: number) {
    this.#timer = setInterval(() => {
      const due = Math.floor(((performance.now() - this.#start) / 1000) * perSecond)
      // A backlog while NATS is away is bounded by the publisher; what was not sent is not expected.
      for (; this.sent < due && publisher.backlog.items < 50_000; this.sent++)
        publisher.publish({ user: `user${this.sent % users}`, n: this.sent })
    }, 5)
  }

  stop(): void {
    clearInterval(this.#timer)
  }

  [Symbol.dispose](): void {
    this.stop()
  }
}

test('an owner killed ten times at 20,000 messages a second loses nothing and no order', async t => {
  await using server = await startServer()
  await using sink = new Sink()
  const settings = { url: server.url, backend: 1, sinkPort: await sink.listen(), holdMs: 0 }
  await using publisher = await openBus(server.url, { service: 'router' })
  const owners = await Promise.all([OwnerChild.start(settings), OwnerChild.start(settings)])
  const all = [...owners]
  try {
    owners[0]?.take()
    await until(() => owners[0]?.owns !== undefined, { deadlineMs: 30_000 })
    using load = new Load(publisher.bus.publisher(commandLane(instance, 1), lineCodec), 20_000)
    const gaps: number[] = []
    for (let kill = 0; kill < kills; kill++) {
      // Who owns the lane is who writes: what a process says of itself may come later than its first lines.
      const speaking = () => owners.findIndex(({ pid }) => pid === sink.lines.at(-1)?.pid)
      await until(() => speaking() >= 0, { deadlineMs: 30_000 })
      const [owner] = owners.splice(speaking(), 1)
      assert.ok(owner)
      const spare = OwnerChild.start(settings)
      const next = await spare
      owners.push(next)
      all.push(next)
      await owner.kill()
      const killedAt = performance.now()
      publisher.bus.owners.reportDeath(owner.processId)
      await until(() => owners.some(({ pid }) => pid === sink.lines.at(-1)?.pid), { deadlineMs: 20_000 })
      const successor = sink.lines.findLast(({ pid }) => pid === owner.pid)
      const first = sink.lines.findLastIndex(({ pid }) => pid === owner.pid) + 1
      gaps.push((sink.lines[first]?.at ?? Infinity) - Math.max(killedAt, successor?.at ?? 0))
    }
    load.stop()
    const verdict = () => sink.judge(load.sent)
    await until(() => verdict().lost === 0, { deadlineMs: 30_000, describe: () => JSON.stringify(verdict()) })
    const { lost, doubled, disordered } = verdict()
    const shown = gaps.map(gap => Math.round(gap)).join(' ')
    t.diagnostic(`${load.sent} items: lost ${lost}, disordered ${disordered}, doubled ${doubled}, gaps ${shown} ms`)
    assert.equal(disordered, 0)
    assert.ok(doubled <= kills * maxDoubledPerKill, `${doubled} doubled`)
    const median = gaps.toSorted((a, b) => a - b)[gaps.length / 2] ?? Infinity
    assert.ok(median < maxMedianGapMs, `gaps ${shown} ms`)
  } finally {
    await Promise.all(all.map(owner => owner.kill()))
  }
})

test('an owner stopped past its lease and continued sends nothing', async t => {
  await using server = await startServer()
  await using sink = new Sink()
  const timings = { heartbeatMs: 300, leaseMs: 1200, deathMs: 1800 }
  const settings = { url: server.url, backend: 1, sinkPort: await sink.listen(), holdMs: 100, timings }
  await using publisher = await openBus(server.url, { service: 'router', timings })
  const [first, second] = await Promise.all([OwnerChild.start(settings), OwnerChild.start(settings)])
  try {
    first.take()
    await until(() => first.owns !== undefined, { deadlineMs: 30_000 })
    using load = new Load(publisher.bus.publisher(commandLane(instance, 1), lineCodec), 2000)
    await until(() => sink.lines.length > 1000)
    first.signal('SIGSTOP')
    const stoppedAt = performance.now()
    await until(() => second.owns !== undefined, { deadlineMs: 15_000 })
    const tookMs = performance.now() - stoppedAt
    await until(() => sink.lines.at(-1)?.pid === second.pid)
    const before = sink.lines.filter(({ pid }) => pid === first.pid).length
    first.signal('SIGCONT')
    await until(() => first.lost !== undefined, { deadlineMs: 30_000, describe: () => 'the first owner was not told' })
    // What it wrongly sent would arrive before.
    first.sayLastWord()
    await until(() => sink.lastWords.has(first.pid))
    load.stop()
    await until(() => sink.judge(load.sent).lost === 0, {
      deadlineMs: 30_000,
      describe: () => JSON.stringify(sink.judge(load.sent)),
    })
    const after = sink.lines.filter(({ pid }) => pid === first.pid).length - before
    t.diagnostic(`taken over after ${Math.round(tookMs)} ms; ${after} lines after SIGCONT; "${first.lost}"`)
    assert.equal(after, 0)
    assert.equal(sink.judge(load.sent).disordered, 0)
    assert.ok(tookMs >= timings.leaseMs)
  } finally {
    await Promise.all([first.kill(), second.kill()])
  }
})

test('an owner stopped past its lease that nobody replaced goes on where it was', async t => {
  await using server = await startServer()
  await using sink = new Sink()
  const timings = { heartbeatMs: 300, leaseMs: 1200, deathMs: 1800 }
  const settings = { url: server.url, backend: 1, sinkPort: await sink.listen(), holdMs: 0, timings }
  await using publisher = await openBus(server.url, { service: 'router', timings })
  const owner = await OwnerChild.start(settings)
  try {
    owner.take()
    await until(() => owner.owns !== undefined, { deadlineMs: 30_000 })
    using load = new Load(publisher.bus.publisher(commandLane(instance, 1), lineCodec), 2000)
    await until(() => sink.lines.length > 1000)
    owner.signal('SIGSTOP')
    await until(() => publisher.bus.owners.isDead(owner.processId), { deadlineMs: 10_000 })
    owner.signal('SIGCONT')
    const before = sink.lines.length
    await until(() => sink.lines.length > before + 5000, { deadlineMs: 10_000 })
    load.stop()
    await until(() => sink.judge(load.sent).lost === 0, {
      deadlineMs: 30_000,
      describe: () => JSON.stringify(sink.judge(load.sent)),
    })
    assert.deepEqual(sink.judge(load.sent), { lost: 0, doubled: 0, disordered: 0 })
    assert.equal(owner.lost, undefined)
    assert.equal(publisher.bus.owners.isDead(owner.processId), false)
    t.diagnostic(`${load.sent} items`)
  } finally {
    await owner.kill()
  }
})

test('NATS killed in the middle: nothing lost, nothing doubled', async t => {
  await using server = await startServer()
  await using sink = new Sink()
  const settings = { url: server.url, backend: 1, sinkPort: await sink.listen(), holdMs: 0 }
  await using publisher = await openBus(server.url, { service: 'router' })
  const owner = await OwnerChild.start(settings)
  try {
    owner.take()
    await until(() => owner.owns !== undefined, { deadlineMs: 30_000 })
    using load = new Load(publisher.bus.publisher(commandLane(instance, 1), lineCodec), 20_000)
    for (let kill = 0; kill < 3; kill++) {
      const so = sink.lines.length
      await until(() => sink.lines.length > so + 10_000)
      await server.kill()
      await server.start()
    }
    const so = sink.lines.length
    await until(() => sink.lines.length > so + 10_000, { deadlineMs: 20_000 })
    load.stop()
    await until(() => sink.judge(load.sent).lost === 0, {
      deadlineMs: 20_000,
      describe: () => JSON.stringify(sink.judge(load.sent)),
    })
    t.diagnostic(`${load.sent} items, ${publisher.counts.get('bus_batches_resent') ?? 0} batches sent again`)
    assert.deepEqual(sink.judge(load.sent), { lost: 0, doubled: 0, disordered: 0 })
    assert.equal(owner.lost, undefined)
  } finally {
    await owner.kill()
  }
})
