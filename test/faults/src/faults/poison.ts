import { setTimeout as delay } from 'node:timers/promises'
import { type ServiceProcess, waitUntil } from '@spectrum/stack'
import {
  doubledAtMostLastMoment,
  lostAtMostUnpublished,
  nobodyLeft,
  nothingConfirmedDoubled,
  nothingLost,
  orderKept,
} from '../limits.ts'
import type { Fault, Scene } from '../run.ts'
import { jid } from '../system.ts'

const flowsAgainMs = 10_000

/** A command that kills whichever worker handles it: a parrot is told to crash. */
export const poisonCommand: Fault = {
  name: 'poison command',
  topology: { network: 'parrot', flags: ['--parrot.allow_crash=true'] },
  async inject({ system, load, note, miss, strikes, attempt }) {
    using _deaths = watchDeaths(system.gateway.workers, strikes)
    const [sender] = load.users
    if (sender === undefined) throw new Error('nobody is there')
    const before = await system.deadItems()
    const begun = performance.now()
    const id = `poison-${attempt}-${Date.now()}`
    sender.say(`polly@${jid}`, id, '!crash')
    const told = () => load.errors.find(error => error.id === id)
    await waitUntil(told, { deadlineMs: 90_000, everyMs: 20 }).catch(() => miss('its sender was not told within 90 s'))
    note('sender told', told()?.condition ?? 'nothing')
    note('after', `${((performance.now() - begun) / 1000).toFixed(1)} s`)
    await oneDead({ system, miss }, before)
  },
  limits: [...nothingLost, doubledAtMostLastMoment, orderKept, flowsAgain],
}

/**
 * A line on IRC that becomes a stanza too large for this Prosody, which then closes the whole component stream: it takes
 * much less here than the gateway believes.
 */
export const poisonStanza: Fault = {
  name: 'poison stanza',
  topology: { hasComponentProxy: true, prosody: 'component_stanza_size_limit = 3000' },
  async inject({ system, load, miss }) {
    const before = await system.deadItems()
    // Every other letter with its colours exchanged, all of them bold, italic, underlined, struck out and monospaced: more than a
    // hundred bytes of markup for each. Prosody looks at what it has not parsed whenever it has read 8 KiB.
    const letters = '\u0016x'.repeat(120)
    load.poison(`\u0002\u001d\u001f\u001e\u0011\u000304,02${letters}`)
    await oneDead({ system, miss }, before)
  },
  // The stream that it ends takes with it what the server had still to write.
  mayMissUnread: 'server ended',
  mayRepeat: 'unconfirmed',
  limits: [...nothingLost, lostAtMostUnpublished, ...nothingConfirmedDoubled, nobodyLeft, orderKept, flowsAgain],
}

async function oneDead({ system, miss }: Pick<Scene, 'system' | 'miss'>, before: number): Promise<void> {
  let now = before
  await waitUntil(
    async () => {
      now = await system.deadItems()
      return now > before
    },
    { deadlineMs: 60_000, everyMs: 100 },
  ).catch(() => undefined)
  if (now - before !== 1) miss(`${now - before} items were set aside, must be 1`)
}

function flowsAgain({ recoveryMs }: { recoveryMs: number }): string | undefined {
  return recoveryMs <= flowsAgainMs ? undefined : `the rest flows after ${recoveryMs} ms, must within ${flowsAgainMs}`
}

/** Tells of each end of any of these until disposed: they are started again by their supervisor. */
function watchDeaths(processes: readonly ServiceProcess[], onDeath: (at: number) => void): Disposable {
  let isOver = false
  const watch = async ({ child }: ServiceProcess): Promise<void> => {
    while (!isOver) {
      await child.ended
      if (isOver) return
      onDeath(lastWordAt(child.lines))
      while (!isOver && !child.isRunning) await delay(5)
    }
  }
  for (const process of processes) void watch(process)
  return {
    [Symbol.dispose]: () => {
      isOver = true
    },
  }
}

/** When the process said that it ends, by our clock: on a busy machine its exit is known much later. */
function lastWordAt(lines: readonly string[]): number {
  const last = lines.findLast(line => line.includes('ends the process'))
  const time = last === undefined ? Number.NaN : Date.parse((JSON.parse(last) as { time: string }).time)
  return Number.isNaN(time) ? performance.now() : performance.now() - (Date.now() - time)
}
