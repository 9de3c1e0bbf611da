import assert from 'node:assert/strict'
import { once } from 'node:events'
import { rm } from 'node:fs/promises'
import { connect, createServer, type Socket } from 'node:net'
import { test } from 'node:test'
import { commandLane } from '../src/index.ts'
import { startServer } from './nats-server.ts'
import { instance, lineCodec, openBus } from './test-bus.ts'
import { until } from './until.ts'

/** Stands between a process and its server; when it is cut nothing passes, and nobody is told. */
class Cable implements AsyncDisposable {
  readonly #sockets = new Set<Socket>()
  readonly #server
  #isCut = false

  constructor(port: number) {
    this.#server = createServer(near => {
      const far = connect(port, '127.0.0.1')
      for (const [from, to] of [
        [near, far],
        [far, near],
      ] as const) {
        this.#sockets.add(from)
        from.on('data', chunk => to.write(chunk))
        from.on('error', () => to.destroy())
        from.on('close', () => {
          this.#sockets.delete(from)
          to.destroy()
        })
        if (this.#isCut) from.pause()
      }
    })
  }

  async plug(): Promise<string> {
    this.#server.listen(0, '127.0.0.1')
    await once(this.#server, 'listening')
    return `nats://127.0.0.1:${(this.#server.address() as { port: number }).port}`
  }

  cut(): void {
    this.#isCut = true
    for (const socket of this.#sockets) socket.pause()
  }

  mend(): void {
    this.#isCut = false
    for (const socket of this.#sockets) socket.resume()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const socket of this.#sockets) socket.destroy()
    this.#server.close()
    await once(this.#server, 'close')
  }
}

test('an owner that is cut off takes at most 200 turns, although nothing was finished, and goes on when it is mended', async () => {
  await using server = await startServer()
  await using cable = new Cable(server.port)
  await using publisher = await openBus(server.url, { service: 'router' })
  await using worker = await openBus(await cable.plug(), {})
  const lane = commandLane(instance, 1)
  const ownership = await worker.bus.owners.acquire('backend.cut.1')
  assert.ok(ownership)
  let arrived = 0
  const consumer = await worker.bus.consume(lane, lineCodec, ownership, {
    onItem: () => void arrived++,
    onLost: () => undefined,
  })
  const out = publisher.bus.publisher(lane, lineCodec)
  for (let n = 0; n < 1000; n++) out.publish({ user: `u${n}`, n })
  await until(() => arrived === 1000)

  // With the bus there, many more than 200 may be begun although none is finished.
  let turns = 0
  await until(
    () => {
      if (consumer.takeTurn()) turns++
      return turns === 500
    },
    { deadlineMs: 60_000 },
  )
  cable.cut()
  turns = 0
  const cutMs = performance.now()
  let lastMs = cutMs
  await until(
    () => {
      if (consumer.takeTurn()) {
        turns++
        lastMs = performance.now()
      }
      return performance.now() - cutMs > 5000
    },
    { deadlineMs: 60_000 },
  )
  assert.ok(turns <= 200 + 1, `${turns} turns after the cut`)
  assert.ok(lastMs - cutMs < 4500, 'it never stopped')
  cable.mend()
  await until(() => consumer.takeTurn(), { deadlineMs: 60_000 })
  assert.ok(ownership.mayAct())
})

test('after a wipe of the server an owner who was cut off does not overwrite who came first, though revisions are equal', async () => {
  await using server = await startServer()
  await using cable = new Cable(server.port)
  await using old = await openBus(await cable.plug())
  const before = await old.bus.owners.acquire('backend.wiped.1')
  assert.ok(before)
  const reasons: string[] = []
  using _lost = before.onLost(reason => void reasons.push(reason))
  cable.cut()
  await server.kill()
  await rm(server.storeDir, { recursive: true })
  await server.start()
  await using young = await openBus(server.url)
  // The first record of the bucket, as the other one was.
  const after = await young.bus.owners.acquire('backend.wiped.1')
  assert.ok(after)
  cable.mend()
  await until(() => reasons.length > 0, { deadlineMs: 20_000, describe: () => JSON.stringify(old.logs.slice(-10)) })
  assert.equal(before.mayAct(), false)
  assert.ok(after.mayAct())
  assert.deepEqual(await young.bus.owners.ownerOf('backend.wiped.1'), {
    process: young.bus.processId,
    epoch: after.epoch,
  })
})

test('after a wipe of the server nobody takes what its owner is about to confirm, and everybody what stays free', async () => {
  await using server = await startServer()
  await using cable = new Cable(server.port)
  await using owner = await openBus(await cable.plug())
  await using other = await openBus(server.url)
  const held = await owner.bus.owners.acquire('backend.emptied.1')
  assert.ok(held)
  const reasons: string[] = []
  using _lost = held.onLost(reason => void reasons.push(reason))
  // The owner comes back later than the other one.
  cable.cut()
  await server.kill()
  await rm(server.storeDir, { recursive: true })
  await server.start()
  await until(() => other.bus.isConnected, { deadlineMs: 20_000 })
  setTimeout(() => cable.mend(), 1_000)
  // Until the streams are made again it rejects.
  const taken = (resource: string) => other.bus.owners.acquire(resource).catch(() => undefined)
  const tries: unknown[] = []
  await until(
    async () => {
      tries.push(await taken('backend.emptied.1'))
      return (await taken('backend.emptied.2')) !== undefined
    },
    { deadlineMs: 60_000 },
  )
  assert.ok(tries.length > 1)
  assert.ok(tries.every(each => each === undefined))
  await until(() => held.mayAct(), { deadlineMs: 20_000 })
  assert.deepEqual(reasons, [])
})

test('a table that was made anew is read from its start, also when it is longer than the one before', async () => {
  await using server = await startServer()
  await using cable = new Cable(server.port)
  await using reader = await openBus(await cable.plug())
  const seen = new Map<string, unknown>()
  using _watch = await reader.bus.table<number>('keys').watch('', (key, entry) => seen.set(key, entry?.value))
  {
    await using writer = await openBus(server.url, { service: 'router' })
    for (const key of ['a', 'b', 'c']) await writer.bus.table<number>('keys').put(key, 1)
    await until(() => seen.size === 3)
  }
  cable.cut()
  await server.kill()
  await rm(server.storeDir, { recursive: true })
  await server.start()
  await using writer = await openBus(server.url, { service: 'router' })
  for (const key of ['d', 'e', 'f', 'g', 'h']) await writer.bus.table<number>('keys').put(key, 2)
  cable.mend()
  await until(() => seen.size === 8, { deadlineMs: 30_000, describe: () => [...seen.keys()].join() })
  await writer.bus.table<number>('keys').put('i', 3)
  await until(() => seen.get('i') === 3)
})
