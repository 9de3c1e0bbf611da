import { setTimeout as delay } from 'node:timers/promises'
import { nobodyLeft, nothingLost, orderKept } from '../limits.ts'
import type { Fault } from '../run.ts'

/**
 * The stream of the command lanes is full: all workers stand still for less than it takes to be thought dead, while users send
 * more than the stream may hold.
 */
export const natsFull: Fault = {
  name: 'NATS disk full',
  topology: { flags: ['--nats.stream_bytes=1048576'] },
  rates: { room: 0.6, speaker: 6, pair: 9 },
  paddingBytes: 300,
  async inject({ system, miss }) {
    await Promise.all(system.gateway.workers.map(worker => worker.kill('SIGSTOP')))
    try {
      await delay(9_000)
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
    nobodyLeft,
    orderKept,
    ({ toIrc }) => {
      const others = Object.keys(toIrc.refusals).filter(condition => condition !== 'resource-constraint')
      if (others.length > 0) return `senders were told ${others.join(', ')}, must be resource-constraint`
      return toIrc.refused > 0 ? undefined : 'nobody was told that the stream is full: it was not, or lines were held'
    },
  ],
}
