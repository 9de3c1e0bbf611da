import { setTimeout as delay } from 'node:timers/promises'
import { type Bus, commandLane, connectBus } from '@spectrum/bus'
import { commandCodec } from '@spectrum/messages'
import { type NatsCluster, startNatsCluster, waitUntil } from '@spectrum/stack'
import { instance, quiet, stampedMessage } from './commands.ts'
import { coresDuring, idle } from './cpu.ts'
import { OwnerChild } from './owner-child.ts'
import { percentile, promise, round, say } from './report.ts'

const steps = [500, 1000, 2000]
const ownerProcesses = 4
const settleMs = 8000
const idleMs = 15_000
const loadMs = 15_000

/** Thousands of lanes on a cluster of three that keeps everything three times. */
export async function manyLanes(): Promise<void> {
  say(`2,000 lanes on three nats-servers, everything three times (R3), ${ownerProcesses} owner processes`)
  await using cluster = await startNatsCluster(3)
  const start = performance.now()
  await using bus = await connectBus({ servers: cluster.urls, service: 'router', instance, replicas: 3, log: quiet })
  say(`  tables and first streams made in ${round((performance.now() - start) / 1000)} s`)
  await using owners = await OwnerPool.start(cluster.urls)
  const empty = await idleCores(cluster, owners)
  say(`  idle without lanes: servers ${round(empty.servers, 3)}, owners ${round(empty.owners, 3)} cores`)
  let made = 0
  let seconds = 0
  for (const lanes of steps) {
    const since = performance.now()
    await owners.own(made, lanes)
    made = lanes
    seconds += (performance.now() - since) / 1000
    const { servers, owners: owning } = await idleCores(cluster, owners)
    say(
      `  ${lanes} lanes after ${round(seconds)} s; idle: servers ${round(servers, 3)}, owners ${round(owning, 3)} cores`,
    )
    if (lanes === 2000) {
      promise(`made in ${round(seconds)} s (at most 15)`, seconds < 15)
      promise(`servers idle at ${round(servers, 3)} cores (at most 0.1)`, servers < 0.1)
      promise(`owners idle at ${round(owning, 3)} cores (at most 0.1)`, owning < 0.1)
    }
  }
  await oneMessageASecond(cluster, owners, bus)
}

function idleCores(cluster: NatsCluster, owners: OwnerPool): Promise<{ servers: number; owners: number }> {
  const groups = { servers: cluster.servers.map(({ pid }) => pid), owners: owners.pids }
  return delay(settleMs).then(() => coresDuring(groups, idle(idleMs)))
}

async function oneMessageASecond(cluster: NatsCluster, owners: OwnerPool, bus: Bus): Promise<void> {
  const lanes = steps.at(-1) ?? 0
  await owners.reset()
  let sent = 0
  const load = async (ms: number) => {
    const start = performance.now()
    const before = sent
    for (let now = start; now < start + ms; now = performance.now()) {
      for (const due = before + ((now - start) / 1000) * lanes; sent < due; sent++)
        bus.publisher(commandLane(instance, sent % lanes), commandCodec).publish(stampedMessage('user@example.org'))
      await delay(5)
    }
  }
  await load(5000) // warm-up
  await owners.reset()
  sent = 0
  const groups = { servers: cluster.servers.map(({ pid }) => pid), owners: owners.pids, publisher: [process.pid] }
  const cores = await coresDuring(groups, () => load(loadMs))
  let arrived = 0
  const ages = await waitUntil(
    async () => {
      const { received, ages } = await owners.received()
      arrived = received
      return received >= sent && ages
    },
    { deadlineMs: 60_000, everyMs: 250, describe: () => `${arrived} of ${sent} arrived` },
  )
  say(
    `  ${lanes} lanes at 1 message/s each: servers ${round(cores.servers)}, owners ${round(cores.owners)}, publisher ` +
      `${round(cores.publisher)} cores; p50 ${round(percentile(ages, 0.5))} ms, p99 ${round(percentile(ages, 0.99))} ms`,
  )
}

class OwnerPool implements AsyncDisposable {
  readonly #owners: OwnerChild[]

  private constructor(owners: OwnerChild[]) {
    this.#owners = owners
  }

  static async start(urls: readonly string[]): Promise<OwnerPool> {
    return new OwnerPool(await Promise.all(Array.from({ length: ownerProcesses }, () => OwnerChild.start(urls))))
  }

  get pids(): number[] {
    return this.#owners.map(({ pid }) => pid)
  }

  /** Spreads lanes `from` up to `to` over the owners. */
  async own(from: number, to: number): Promise<void> {
    const share = (to - from) / ownerProcesses
    const asked = this.#owners.map((owner, index) =>
      owner.ask({ own: { from: from + index * share, to: from + (index + 1) * share } }),
    )
    await Promise.all(asked)
  }

  async reset(): Promise<void> {
    await delay(500) // what is under way still arrives
    await Promise.all(this.#owners.map(owner => owner.ask({ reset: true })))
  }

  async received(): Promise<{ received: number; ages: number[] }> {
    const answers = await Promise.all(this.#owners.map(owner => owner.ask({})))
    return {
      received: answers.reduce((sum, { received }) => sum + received, 0),
      ages: answers.flatMap(({ ages }) => ages),
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.#owners.map(owner => owner[Symbol.asyncDispose]()))
  }
}
