import { backendResource, commandLane, connectBus, type Delivery, type LaneConsumer } from '@spectrum/bus'
import { type Command, commandCodec } from '@spectrum/messages'
import { ageMs, instance, quiet } from './commands.ts'
import type { OwnerAnswer, OwnerRequest } from './owner-child.ts'

// A worker of the benches, driven over IPC: owns lanes, finishes what it gets, and measures.

const [urls, heldUser] = JSON.parse(process.argv[2] ?? '[]') as [string[], string | undefined]
const bus = await connectBus({
  servers: urls,
  service: 'worker',
  instance,
  replicas: urls.length > 1 ? 3 : 1,
  log: quiet,
})
const consumers: LaneConsumer[] = []
const lastKey = new Map<string, number>()
let held: Delivery<Command>[] = []
let ages: number[] = []
let received = 0
let disordered = 0

process.on('disconnect', () => process.kill(process.pid, 'SIGKILL'))
process.on('message', (request: OwnerRequest) => {
  perform(request).then(
    answer => process.send?.(answer),
    error => console.error(error),
  )
})
process.send?.({ pid: process.pid })

async function perform(request: OwnerRequest): Promise<OwnerAnswer> {
  if (request.own) await own(request.own.from, request.own.to)
  if (request.finishHeld) {
    for (const delivery of held) delivery.finish()
    held = []
  }
  const answer = { received, disordered, held: held.length, ages, unfinished: 0 }
  if (request.reset) {
    received = 0
    ages = []
  }
  for (const consumer of consumers) answer.unfinished += consumer.unfinished
  return answer
}

async function own(from: number, to: number): Promise<void> {
  let next = from
  const takeNext = async () => {
    for (let backend = next++; backend < to; backend = next++) await take(backend)
  }
  await Promise.all(Array.from({ length: 16 }, takeNext))
}

async function take(backend: number): Promise<void> {
  const ownership = await bus.owners.acquire(backendResource(instance, backend))
  if (!ownership) throw new Error(`backend ${backend} is taken`)
  const consumer = await bus.consume(commandLane(instance, backend), commandCodec, ownership, {
    onItem: receive,
    onLost: reason => console.error('a lane was lost', reason),
  })
  consumers.push(consumer)
}

function receive(delivery: Delivery<Command>): void {
  received++
  const { item } = delivery
  if (item.user === heldUser) {
    held.push(delivery)
    return
  }
  if (Number(item.key) < (lastKey.get(item.user) ?? 0)) disordered++
  lastKey.set(item.user, Number(item.key))
  if (received % 16 === 0 || received < 100_000) ages.push(ageMs(item))
  delivery.finish()
}
