import { setTimeout as delay } from 'node:timers/promises'
import { waitUntil } from '@spectrum/stack'
import { isOpen, type Ledger } from '../ledger.ts'
import { nothingDoubled } from '../limits.ts'
import type { Fault, Scene } from '../run.ts'
import { allConnected } from '../system.ts'
import { endActive, frontendGone } from './services.ts'

/** ejabberd drops what is for a connection that is missing: how long a place may be empty when another one takes it. */
const changeMs = 400
/** What is missing and was said so shortly after something that is missing was dropped at the same change. */
const apartMs = 500

/** Ends the active frontend, and fulfils when both are connected again and what was said until then has arrived. */
async function replaceActive(scene: Scene, signal: NodeJS.Signals): Promise<void> {
  const { system, load, note, miss } = scene
  const { frontends } = system.gateway
  const active = await endActive(scene, signal)
  const survivors = frontends.filter(frontend => frontend !== active)
  await waitUntil(
    async () => (await system.sum(survivors, 'spectrum_frontend_substitute_connections')) === frontends.length - 1,
    { deadlineMs: 30_000, everyMs: 10 },
  )
  const held = performance.now()
  await allConnected(system.gateway)
  const joined = performance.now()
  await delay(1_000)
  const gaps = gapsOf(load.ledger, joined + apartMs)
  // Of a killed one the first is what nobody was there for.
  const changes = signal === 'SIGKILL' ? gaps.filter(([first = 0]) => first > held) : gaps
  const lines = changes.flat().length
  const longest = Math.max(0, ...changes.map(times => (times.at(-1) ?? 0) - (times[0] ?? 0)))
  note('dropped by ejabberd while one connection took the place of another', `${lines} in ${Math.round(longest)} ms`)
  if (changes.length > 2 || longest > changeMs)
    miss(
      `a place was empty ${changes.length} times, and for up to ${longest} ms: must be at most twice, for ${changeMs} ms`,
    )
}

/** When lines to IRC were said that are missing, for each time at which some were. */
function gapsOf(ledger: Ledger, until: number): number[][] {
  const missing = [...ledger.lines(({ direction }) => direction === 'to IRC')]
    .filter(({ entry }) => isOpen(entry) && entry.saidAt <= until)
    .map(({ entry }) => entry.saidAt)
    .sort((a, b) => a - b)
  const gaps: number[][] = []
  for (const at of missing) {
    const gap = gaps.at(-1)
    if (gap === undefined || at - (gap.at(-1) ?? 0) > apartMs) gaps.push([at])
    else gap.push(at)
  }
  return gaps
}

export const killFrontendEjabberd: Fault = {
  name: 'kill active frontend, ejabberd',
  topology: { xmpp: 'ejabberd' },
  inject: scene => replaceActive(scene, 'SIGKILL'),
  limits: frontendGone,
}

/** A planned change: another holds its connection when it goes, and gives it up for the next one. */
export const stopFrontendEjabberd: Fault = {
  name: 'SIGTERM one frontend, ejabberd',
  topology: { xmpp: 'ejabberd' },
  inject: scene => replaceActive(scene, 'SIGTERM'),
  limits: [...frontendGone, nothingDoubled],
}
