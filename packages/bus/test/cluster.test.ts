import assert from 'node:assert/strict'
import { test } from 'node:test'
import { connect, TimeoutError } from '@nats-io/transport-node'
import { commandLane } from '../src/index.ts'
import { freePort, startServer, type TestServer } from './nats-server.ts'
import { instance, lineCodec, openBus } from './test-bus.ts'
import { until } from './until.ts'

const users = 50

async function startCluster(): Promise<TestServer[]> {
  const ports = await Promise.all([freePort(), freePort(), freePort()])
  const routes = ports.map(port => `nats://127.0.0.1:${port}`)
  return Promise.all(
    ports.map((port, index) => startServer({ serverName: `n${index}`, cluster: { name: 'bus', port, routes } })),
  )
}

test('a node of three is killed under traffic, each in turn: nothing lost, nothing doubled, order kept', async t => {
  const nodes = await startCluster()
  try {
    const servers = nodes.map(node => node.url)
    const options = { servers, replicas: 3 as const }
    await using publisher = await openBus('', { ...options, service: 'router' })
    await using worker = await openBus('', options)
    const lane = commandLane(instance, 1)
    const ownership = await worker.bus.owners.acquire('backend.cluster.1')
    assert.ok(ownership)
    const got: number[] = []
    await worker.bus.consume(lane, lineCodec, ownership, {
      onItem: delivery => {
        got.push(delivery.item.n)
        delivery.finish()
      },
      onLost: reason => assert.fail(`the lane was lost: ${reason}`),
    })
    const out = publisher.bus.publisher(lane, lineCodec)
    let sent = 0
    const timer = setInterval(() => {
      for (let i = 0; i < 5; i++, sent++) out.publish({ user: `u${sent % users}`, n: sent })
    }, 10)
    try {
      for (const node of nodes) {
        const so = sent
        await until(() => got.length > so + 200, { deadlineMs: 60_000, describe: () => `${got.length} of ${sent}` })
        await node.kill()
        const then = sent
        const killedMs = performance.now()
        await until(() => got.includes(then + 1), { deadlineMs: 90_000, describe: () => `${got.length} of ${sent}` })
        t.diagnostic(`goes on after ${Math.round(performance.now() - killedMs)} ms`)
        await node.start()
        // A node that has not caught up is no majority when the next one goes.
        await until(() => jetStreamIsWhole(nodes), { deadlineMs: 60_000 })
      }
    } finally {
      clearInterval(timer)
    }
    await out.durable()
    await until(() => got.length >= sent, { deadlineMs: 60_000, describe: () => `${got.length} of ${sent}` })
    assert.deepEqual(
      got,
      Array.from({ length: sent }, (_, n) => n),
    )
    t.diagnostic(`${sent} items`)
  } finally {
    await Promise.all(nodes.map(node => node[Symbol.asyncDispose]()))
  }
})

/** Every replica of every stream is there and current. While the cluster elects who answers, nobody does. */
async function jetStreamIsWhole(nodes: readonly TestServer[]): Promise<boolean> {
  await using nc = await connect({ servers: nodes.map(each => `127.0.0.1:${each.port}`) })
  const reply = await nc.request('$JS.API.STREAM.LIST', '{}', { timeout: 2000 }).catch((error: unknown) => {
    if (error instanceof TimeoutError) return
    throw error
  })
  if (reply === undefined) return false
  const { streams } = reply.json<{ streams?: { cluster?: { replicas?: { current: boolean }[] } }[] }>()
  const isWhole = (replicas?: { current: boolean }[]) => replicas?.length === 2 && replicas.every(each => each.current)
  return streams?.every(({ cluster }) => isWhole(cluster?.replicas)) === true
}
