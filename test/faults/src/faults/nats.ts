import { setTimeout as delay } from 'node:timers/promises'
import { nobodyLeft, nothingDoubled, nothingLost, orderKept } from '../limits.ts'
import type { Fault } from '../run.ts'

/** No process that handles lines ends, and batches have ids: nothing is told twice either. */
const limits = [...nothingLost, nothingDoubled, nobodyLeft, orderKept]

export const killNats: Fault = {
  name: 'kill NATS',
  topology: {},
  isShort: true,
  async inject({ system }) {
    const [nats] = system.natsServers
    await nats?.kill()
    await nats?.start()
  },
  limits,
}

/** One node of three, in turn: every third is the leader of the streams. */
export const killNatsNode: Fault = {
  name: 'kill one NATS node of three',
  topology: { nats: 'cluster' },
  async inject({ system, attempt, note }) {
    const node = system.natsServers[attempt % system.natsServers.length]
    note('node', (attempt % system.natsServers.length) + 1)
    await node?.kill()
    await delay(15_000)
    await node?.start()
  },
  limits,
}

export const natsAway: Fault = {
  name: 'NATS away 60 s',
  topology: {},
  async inject({ system }) {
    const [nats] = system.natsServers
    await nats?.kill()
    await delay(60_000)
    await nats?.start()
  },
  limits,
}
