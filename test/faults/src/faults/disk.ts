import { setTimeout as delay } from 'node:timers/promises'
import { nobodyLeft, nothingDoubled, nothingLost, orderKept } from '../limits.ts'
import type { Fault } from '../run.ts'

/**
 * The stream of the command lanes is full: all workers stand still for less than it takes to be thought dead, while users say
 * more than it may hold. What the load alone fills it with until its next purge is little of it.
 */
export const natsFull: Fault = {
  name: 'NATS disk full',
  topology: { flags: ['--nats.stream_bytes=5242880'] },
  async inject({ system, load, miss, note }) {
    await Promise.all(system.gateway.workers.map(worker => worker.kill('SIGSTOP')))
    try {
      await load.burst(200, 700, 8_000)
      await delay(2_000)
      const told = load.ledger.judge(({ direction }) => direction === 'to IRC').refused
      note('told while it was full', told)
      if (told === 0) miss('nobody was told while the stream was full')
      for (const process of [...system.gateway.routers, ...system.gateway.frontends]) {
        const state = await process.readiness()
        if (state !== true) miss(`${process.name} is not ready while the stream is full: ${state}`)
      }
    } finally {
      await Promise.all(system.gateway.workers.map(worker => worker.kill('SIGCONT')))
    }
  },
  limits: [
    ...nothingLost,
    nothingDoubled,
    nobodyLeft,
    orderKept,
    ({ toIrc }) => {
      const others = Object.keys(toIrc.refusals).filter(condition => condition !== 'resource-constraint')
      return others.length === 0 ? undefined : `senders were told ${others.join(', ')}, must be resource-constraint`
    },
  ],
}
