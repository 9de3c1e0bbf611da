import { setImmediate as turn } from 'node:timers/promises'
import { commandLane, connectBus, type LanePublisher } from '@spectrum/bus'
import { type Command, commandCodec } from '@spectrum/messages'
import { startNats, waitUntil } from '@spectrum/stack'
import { instance, quiet, stampedMessage } from './commands.ts'
import { cpuSeconds } from './cpu.ts'
import { OwnerChild } from './owner-child.ts'
import { median, percentile, promise, round, say } from './report.ts'

const roundMs = 2500
const rounds = 3
const leastFactor = 20

/** One lane, published in batches and one by one, in the same run. */
export async function laneRate(): Promise<void> {
  say('One lane, one publisher and one owner process, R1 file storage')
  await using server = await startNats()
  await using owner = await OwnerChild.start([server.url])
  await using bus = await connectBus({ servers: [server.url], service: 'frontend', instance, log: quiet })
  await owner.ask({ own: { from: 0, to: 1 } })
  const publisher = bus.publisher(commandLane(instance, 0), commandCodec)
  const pids = [process.pid, owner.pid, server.pid]
  await measure(owner, pids, () => flood(publisher)) // warm-up
  const unbatched: Measured[] = []
  const batched: Measured[] = []
  for (let round = 0; round < rounds; round++) {
    unbatched.push(await measure(owner, pids, () => oneByOne(publisher)))
    batched.push(await measure(owner, pids, () => flood(publisher)))
  }
  show('one by one, each acknowledged', unbatched)
  show('batched', batched)
  const factor = median(batched.map(({ rate }) => rate)) / median(unbatched.map(({ rate }) => rate))
  promise(`batched is ${round(factor, 0)} × one by one (at least ${leastFactor})`, factor >= leastFactor)
  const lost = [...unbatched, ...batched].reduce((sum, run) => sum + run.lost + run.disordered, 0)
  promise(`lost or out of order: ${lost}`, lost === 0)
}

interface Measured {
  rate: number
  p50: number
  p99: number
  cpuMicros: number
  lost: number
  disordered: number
}

/** Runs a load and waits until all of it was delivered. */
async function measure(owner: OwnerChild, pids: number[], load: () => Promise<number>): Promise<Measured> {
  await owner.ask({ reset: true })
  const cpu = () => pids.reduce((sum, pid) => sum + cpuSeconds(pid), 0)
  const cpuBefore = cpu()
  const start = performance.now()
  const sent = await load()
  const answer = await waitUntil(
    async () => {
      const answer = await owner.ask({})
      return answer.received >= sent && answer
    },
    { deadlineMs: 30_000, describe: () => 'the owner did not get everything' },
  )
  const seconds = (performance.now() - start) / 1000
  return {
    rate: sent / seconds,
    p50: percentile(answer.ages, 0.5),
    p99: percentile(answer.ages, 0.99),
    cpuMicros: ((cpu() - cpuBefore) / sent) * 1e6,
    lost: sent - answer.received,
    disordered: answer.disordered,
  }
}

async function oneByOne(publisher: LanePublisher<Command>): Promise<number> {
  let sent = 0
  for (const end = performance.now() + roundMs; performance.now() < end; sent++) {
    publisher.publish(stampedMessage(`user${sent % 50}@example.org`))
    await publisher.durable()
  }
  return sent
}

async function flood(publisher: LanePublisher<Command>): Promise<number> {
  let sent = 0
  for (const end = performance.now() + roundMs; performance.now() < end; ) {
    while (!publisher.isCongested) publisher.publish(stampedMessage(`user${sent++ % 50}@example.org`))
    await turn()
  }
  await publisher.durable()
  return sent
}

function show(name: string, runs: Measured[]): void {
  const of = (field: 'rate' | 'p50' | 'p99' | 'cpuMicros') => median(runs.map(run => run[field]))
  say(
    `  ${name}: ${Math.round(of('rate'))} messages/s, p50 ${round(of('p50'))} ms, p99 ${round(of('p99'))} ms, ` +
      `${round(of('cpuMicros'), 1)} µs of CPU a message (publisher, owner and nats-server)`,
  )
}
