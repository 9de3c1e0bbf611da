import { connect } from 'node:net'
import { type BusOptions, commandLane, connectBus, type Delivery, type Ownership } from '../src/index.ts'
import { backendResource } from '../src/subjects.ts'
import { instance, type Line, lineCodec } from './test-bus.ts'

// A worker for the tests: takes the lane when it is free, writes what it gets to a sink over TCP (the "network").

/** Sent by the parent as the only argument, in JSON. */
export interface OwnerSettings {
  url: string
  backend: number
  sinkPort: number
  timings?: BusOptions['timings']
  /** An item is written so long after it arrived; 0: at once. */
  holdMs: number
}

const settings = JSON.parse(process.argv[2] ?? '') as OwnerSettings
const sink = connect(settings.sinkPort, '127.0.0.1').setNoDelay()
const bus = await connectBus({
  servers: [settings.url],
  service: 'worker',
  instance,
  log: { debug: () => {}, info: () => {}, warn: () => {}, error: (fields, message) => console.error(message, fields) },
  ...(settings.timings ? { timings: settings.timings } : {}),
})
const resource = backendResource(instance, settings.backend)
bus.owners.onDeath(() => takeOver())
bus.owners.setInfo({ test: true })
process.on('message', message => {
  if (message === 'take') takeOver()
  // Timers of the same length fire in their order: behind everything that is held now.
  if (message === 'last-word') setTimeout(() => sink.write(`${process.pid} last-word\n`), settings.holdMs)
})
process.on('disconnect', () => process.kill(process.pid, 'SIGKILL'))
process.send?.({ ready: bus.processId })

function takeOver(): void {
  tryToTake().catch(error => console.error(error))
}

async function tryToTake(): Promise<void> {
  const ownership = await bus.owners.acquire(resource)
  if (!ownership) return
  let isLost = false
  let out: string[] = []
  let waiting: Delivery<Line>[] = []
  const flush = () => {
    sink.write(out.join(''))
    out = []
    for (const delivery of waiting) delivery.finish()
    waiting = []
  }
  const write = (delivery: Delivery<Line>): void => {
    // A pause is no loss: what is held goes out when the lease is renewed.
    if (!mayWrite(ownership)) {
      if (!isLost) setTimeout(write, 20, delivery)
      return
    }
    out.push(`${process.pid} ${delivery.item.user} ${delivery.item.n}\n`)
    waiting.push(delivery)
    if (settings.holdMs > 0) flush()
  }
  await bus.consume(commandLane(instance, settings.backend), lineCodec, ownership, {
    onItem: delivery => {
      if (settings.holdMs > 0) setTimeout(write, settings.holdMs, delivery)
      else write(delivery)
    },
    onBatchEnd: flush,
    onLost: reason => {
      isLost = true
      process.send?.({ lost: reason })
    },
  })
  process.send?.({ owns: ownership.epoch })
}

function mayWrite(ownership: Ownership): boolean {
  return ownership.mayAct()
}
