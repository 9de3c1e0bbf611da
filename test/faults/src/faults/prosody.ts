import { setTimeout as delay } from 'node:timers/promises'
import { lostAtMostUnpublished, nobodyLeft, nothingConfirmedDoubled, nothingLost, orderKept } from '../limits.ts'
import type { Fault, Scene } from '../run.ts'

const awayMs = 2_000

const limits = [...nothingLost, lostAtMostUnpublished, ...nothingConfirmedDoubled, nobodyLeft, orderKept]

async function stopServer({ system }: Scene): Promise<void> {
  await system.xmpp.stop()
  await delay(awayMs)
  await system.xmpp.start()
}

/** Clients lose their streams and come back as new ones: nothing survives Prosody's end, XEP-0198 or not. */
export const restartProsody: Fault = {
  name: 'Prosody SIGTERM and back',
  topology: { hasComponentProxy: true },
  mayMissUnread: 'server ended',
  mayRepeat: 'uncertain',
  prepare: countReturns,
  inject: stopServer,
  inspect: howTheyCameBack,
  limits,
}

/** The same where several frontends have connections of their own. */
export const restartEjabberd: Fault = {
  ...restartProsody,
  name: 'ejabberd SIGTERM and back, two frontends',
  topology: { xmpp: 'ejabberd', hasComponentProxy: true },
}

export const killProsody: Fault = {
  name: 'kill Prosody',
  topology: { hasComponentProxy: true },
  mayMissUnread: 'server ended',
  mayRepeat: 'uncertain',
  prepare: countReturns,
  async inject({ system, load, tap }) {
    const confirmed = tap?.confirmed ?? []
    await system.xmpp.kill()
    for (const { user, text } of confirmed) load.excuseConfirmed(user, text)
    await delay(awayMs)
    await system.xmpp.start()
  },
  inspect: howTheyCameBack,
  limits,
}

/** The connection between gateway and server breaks while hundreds of stanzas a second pass, three times. */
export const resetComponent: Fault = {
  name: 'component connection reset',
  topology: { hasComponentProxy: true },
  mayMissUnread: 'reset',
  mayRepeat: 'unconfirmed',
  async inject({ system }) {
    for (let time = 0; time < 3; time++) {
      system.componentProxy?.reset()
      await delay(1_500)
    }
  },
  limits: [...nothingLost, lostAtMostUnpublished, ...nothingConfirmedDoubled, nobodyLeft, orderKept],
}

async function countReturns({ load }: Scene): Promise<void> {
  for (const { counts } of load.users) counts.anew = counts.resumed = 0
}

async function howTheyCameBack({ load, note }: Scene): Promise<void> {
  const sum = (of: 'resumed' | 'anew'): number => load.users.reduce((all, { counts }) => all + counts[of], 0)
  note('streams resumed', sum('resumed'))
  note('begun anew', sum('anew'))
}
