import { waitUntil } from '@spectrum/stack'
import {
  doubledAtMostLastMoment,
  doubledAtMostUnrecorded,
  gapless,
  nobodyRemoved,
  nothingDoubled,
  nothingLost,
  orderKept,
} from '../limits.ts'
import type { Fault, Scene } from '../run.ts'

const ergo = { irc: 'ergo' } as const

const killed = [...nothingLost, doubledAtMostLastMoment, nobodyRemoved, orderKept]

async function killOne({ system, note, strikes }: Scene): Promise<void> {
  const worker = await system.most(system.gateway.workers, 'spectrum_worker_sessions')
  note('sessions', await worker.metric('spectrum_worker_sessions'))
  strikes()
  await worker.kill()
}

async function killAll({ system, note, strikes }: Scene): Promise<void> {
  note('sessions', 50)
  strikes()
  await Promise.all(system.gateway.workers.map(worker => worker.kill()))
}

/** A worker, or all of them, ended in the middle of a word: its users' IRC connections go with it. */
export const killWorker: Fault = {
  name: 'kill worker',
  topology: {},
  isShort: true,
  gap: 'killed',
  inject: killOne,
  limits: killed,
}

export const killWorkerErgo: Fault = {
  name: 'kill worker, ergo',
  topology: ergo,
  gap: 'killed, in private',
  inject: killOne,
  limits: [...killed, gapless],
}

export const killWorkers: Fault = {
  name: 'kill all workers',
  topology: {},
  gap: 'killed',
  inject: killAll,
  limits: killed,
}

export const killWorkersErgo: Fault = {
  name: 'kill all workers, ergo',
  topology: ergo,
  gap: 'killed, in private',
  inject: killAll,
  limits: [...killed, gapless],
}

/** Every process is asked to end, and started again, before the next. */
async function replaceAll({ system, note, miss }: Scene): Promise<void> {
  const start = performance.now()
  for (const process of system.gateway.processes) {
    const begun = performance.now()
    await process.hold('SIGTERM')
    const seconds = (performance.now() - begun) / 1000
    note(process.name, `${seconds.toFixed(1)} s at ${Math.round(begun - start)} ms`)
    if (seconds > 20) miss(`${process.name} took ${seconds.toFixed(1)} s to end, more than 20 s`)
    if (process.child.exitCode !== 0) miss(`${process.name} ended by ${process.child.exit}`)
    await process.resume()
    await system.gateway.ready()
  }
}

const replaced = [...nothingLost, nothingDoubled, nobodyRemoved, orderKept]

export const rollingUpgrade: Fault = {
  name: 'rolling upgrade',
  topology: {},
  inject: replaceAll,
  limits: replaced,
}

export const rollingUpgradeErgo: Fault = {
  name: 'rolling upgrade, ergo',
  topology: ergo,
  inject: replaceAll,
  limits: [...replaced, gapless],
}

/** A worker that does nothing for 30 s, long enough for others to take its users over, and then goes on where it was. */
export const freezeWorker: Fault = {
  name: 'freeze worker 30 s',
  topology: {},
  gap: 'frozen',
  async inject({ system, note, strikes }) {
    const worker = await system.most(system.gateway.workers, 'spectrum_worker_sessions')
    note('sessions', await worker.metric('spectrum_worker_sessions'))
    strikes()
    await worker.kill('SIGSTOP')
    try {
      await new Promise(resolve => setTimeout(resolve, 30_000))
    } finally {
      await worker.kill('SIGCONT')
    }
  },
  inspect: backUnderOwnNames,
  limits: killed,
}

/** A worker that still reaches IRC and no longer NATS: its IRC connections stand, and others take its users over. */
export const cutWorker: Fault = {
  name: 'cut worker from NATS 40 s',
  topology: { hasNatsPath: true },
  gap: 'frozen',
  async inject({ system, note, strikes }) {
    const [worker] = system.gateway.workers
    const { natsPath } = system
    if (worker === undefined || natsPath === undefined) throw new Error('there is no worker whose way can be cut')
    note('cut by', natsPath.by)
    note('sessions', await worker.metric('spectrum_worker_sessions'))
    strikes()
    await natsPath.cut()
    try {
      await new Promise(resolve => setTimeout(resolve, 40_000))
    } finally {
      await natsPath.heal()
    }
  },
  inspect: backUnderOwnNames,
  limits: [...nothingLost, doubledAtMostUnrecorded, nobodyRemoved, orderKept],
}

/** An own ghost is no reason to keep another nick for ever. */
async function backUnderOwnNames({ load, note }: Scene): Promise<void> {
  const others = (): string[] =>
    load.users.map(({ name }) => name).filter(name => !load.watches.some(watch => watch.hasNick(name)))
  await waitUntil(() => others().length === 0, { deadlineMs: 60_000, everyMs: 100 }).catch(() =>
    note('under other nicks', others().join(' ')),
  )
}
