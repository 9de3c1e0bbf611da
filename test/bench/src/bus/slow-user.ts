import { setTimeout as delay } from 'node:timers/promises'
import { commandLane, connectBus, type LanePublisher } from '@spectrum/bus'
import { type Command, commandCodec } from '@spectrum/messages'
import { startNats, waitUntil } from '@spectrum/stack'
import { instance, quiet, stampedMessage } from './commands.ts'
import { OwnerChild } from './owner-child.ts'
import { median, percentile, promise, round, say } from './report.ts'

const rounds = 5
const roundMs = 3000
const perSecond = 2000
const others = 99
const held = 200
const slow = 'slow@example.org'

/** One user of a backend has 200 unfinished items; the other 99 must not notice. */
export async function slowUser(): Promise<void> {
  say(
    `One user with ${held} unfinished items beside ${others} others, ${perSecond} messages/s, ${rounds} interleaved rounds`,
  )
  await using server = await startNats()
  await using owner = await OwnerChild.start([server.url], slow)
  await using bus = await connectBus({ servers: [server.url], service: 'frontend', instance, log: quiet })
  await owner.ask({ own: { from: 0, to: 1 } })
  const publisher = bus.publisher(commandLane(instance, 0), commandCodec)
  await oneRound(owner, publisher, false) // warm-up
  const without: Round[] = []
  const beside: Round[] = []
  for (let index = 0; index < rounds; index++) {
    without.push(await oneRound(owner, publisher, false))
    beside.push(await oneRound(owner, publisher, true))
  }
  const of = (runs: Round[], field: 'p50' | 'p99') => median(runs.map(run => run[field]))
  for (const [name, runs] of [
    ['without', without],
    ['beside ', beside],
  ] as const)
    say(`  ${name}: p50 ${round(of(runs, 'p50'), 3)} ms, p99 ${round(of(runs, 'p99'), 3)} ms`)
  const medianFactor = of(beside, 'p50') / of(without, 'p50')
  const tailFactor = of(beside, 'p99') / of(without, 'p99')
  promise(`median ${round(medianFactor)} × (at most 1.25)`, medianFactor <= 1.25)
  promise(`p99 ${round(tailFactor)} × (at most 2)`, tailFactor <= 2)
  const wrong = [...without, ...beside].reduce((sum, run) => sum + run.lost + run.disordered, 0)
  promise(`items of the others lost or out of order: ${wrong}`, wrong === 0)
}

interface Round {
  p50: number
  p99: number
  lost: number
  disordered: number
}

async function oneRound(owner: OwnerChild, publisher: LanePublisher<Command>, withSlow: boolean): Promise<Round> {
  if (withSlow) {
    for (let n = 0; n < held; n++) publisher.publish(stampedMessage(slow))
    await waitUntil(async () => (await owner.ask({})).held === held)
  }
  await owner.ask({ reset: true })
  const sent = await steady(publisher)
  const answer = await waitUntil(
    async () => {
      const answer = await owner.ask({})
      return answer.received >= sent && answer
    },
    { deadlineMs: 20_000, describe: () => 'the others did not get everything' },
  )
  await owner.ask({ finishHeld: true })
  await waitUntil(async () => (await owner.ask({})).unfinished === 0)
  return {
    p50: percentile(answer.ages, 0.5),
    p99: percentile(answer.ages, 0.99),
    lost: sent - answer.received,
    disordered: answer.disordered,
  }
}

async function steady(publisher: LanePublisher<Command>): Promise<number> {
  let sent = 0
  const start = performance.now()
  for (let now = start; now < start + roundMs; now = performance.now()) {
    for (const due = ((now - start) / 1000) * perSecond; sent < due; sent++)
      publisher.publish(stampedMessage(`user${sent % others}@example.org`))
    await delay(2)
  }
  return sent
}
