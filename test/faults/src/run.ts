import { setTimeout as delay } from 'node:timers/promises'
import { waitUntil } from '@spectrum/stack'
import { isOpen, type Ledger, type Stream, type Verdict } from './ledger.ts'
import type { Load, LoadRates } from './load/load.ts'
import type { Movement } from './load/room-watch.ts'
import type { System, Topology } from './system.ts'

/** A limit that a result must keep: undefined, or a sentence that says what is missed. */
export type Limit = (result: Result) => string | undefined

/** Which lines for a user may be missing on a network that keeps no history, beside those said while nobody of that user was there. */
export type Gap =
  /** None beside these. */
  | 'none'
  /** What the connection of a killed process had been handed in its last 50 ms, and until the IRC server noticed. */
  | 'killed'
  /** The same, of private lines alone: the network keeps a history of its channels. */
  | 'killed, in private'
  /** Everything from the cut until the user is back, as the old connection still stands and nobody reads it. */
  | 'frozen'

/** What a fault may use while it happens. */
export interface Scene {
  readonly system: System
  readonly load: Load
  /** Counts from 1: faults take turns with what they choose. */
  readonly attempt: number
  /** Says that it happens now, where that was prepared for a while: what the last moments are counted from. */
  strikes(): void
  /** Told beside the figures: `gap in bytes`, `killed`. */
  note(name: string, value: string | number): void
  /** Reports something that must not be, though the ledger cannot see it. */
  miss(sentence: string): void
}

/** One row of the table. */
export interface Fault {
  /** As in the table and on the command line. */
  readonly name: string
  readonly topology: Topology
  /** Part of the short form. */
  readonly isShort?: boolean
  readonly gap?: Gap
  readonly rates?: LoadRates
  /** Prepares what must be there before the fault. */
  prepare?(scene: Scene): Promise<void>
  /** Lets it happen; fulfils at its end, when everything that was taken away has been given back. */
  inject(scene: Scene): Promise<void>
  /** Looks at more than the ledger, when everybody talks again. */
  inspect?(scene: Scene): Promise<void>
  readonly limits: readonly Limit[]
}

/** What one run of a fault showed. Times in ms. */
export interface Result {
  readonly fault: string
  readonly toIrc: Verdict
  readonly toXmpp: Verdict
  readonly outageP50: number
  readonly outageMax: number
  /** How long the fault was, until everything was given back. */
  readonly faultMs: number
  /** From its end until everybody heard and was heard again. */
  readonly recoveryMs: number
  /** Lines a second that were said before the fault. */
  readonly linesPerSecond: number
  /** Room lines to XMPP that are missing: of those that are said in private no server keeps any for a nick without an account. */
  readonly missingInRooms: number
  /** QUIT, PART and KICK of users on IRC, and how often XMPP clients were told of being out of their room. */
  readonly departures: number
  readonly removals: number
  /** Lines to IRC of the users who lost their connection that were handled in the last 50 ms before the fault. */
  readonly handledBefore: number
  /** Lines to IRC of those users that were heard between the fault and their coming back. */
  readonly handledDuring: number
  readonly notes: Readonly<Record<string, string | number>>
  readonly misses: readonly string[]
}

const steadyMs = 4_000
const settleMs = 60_000
const lastMomentMs = 50
/** How much later than it was handled a line is heard by the witness, and a kill is known here to have happened. */
const transitMs = 25

/** Runs one fault under load on a system that is well, and judges it. */
export async function runFault(fault: Fault, system: System, load: Load, attempt: number): Promise<Result> {
  const notes: Record<string, string | number> = {}
  const misses: string[] = []
  let at = 0
  const scene: Scene = {
    ...{ system, load, attempt },
    strikes: () => {
      at = performance.now()
    },
    note: (name, value) => {
      notes[name] = value
    },
    miss: sentence => misses.push(sentence),
  }
  await system.evenlyLoaded()
  await fault.prepare?.(scene)
  const begun = performance.now()
  load.start(fault.rates)
  try {
    await talking(load, begun + 500, 30_000)
    await delay(steadyMs)
    const linesPerSecond = load.spoken / ((performance.now() - begun) / 1000)
    scene.strikes()
    await fault.inject(scene)
    const end = performance.now()
    let recoveredAt = Number.POSITIVE_INFINITY
    try {
      await talking(load, end, settleMs)
      recoveredAt = performance.now()
    } catch (error) {
      misses.push(`60 s after the fault's end: ${(error as Error).message}`)
    }
    await fault.inspect?.(scene)
    // What was held back still comes out while people talk on.
    await delay(2_000)
    load.stop()
    const stopped = performance.now()
    excuseGaps(load, fault.gap ?? 'none', at, stopped, load.movementsSince(at))
    await settled(load.ledger, Math.max(2_000, settleMs - (stopped - end)))
    const movements = load.movementsSince(at)
    excuseGaps(load, fault.gap ?? 'none', at, stopped, movements)
    const lost = [...load.ledger.lines()].filter(({ entry }) => isOpen(entry)).slice(0, 10)
    if (lost.length > 0) {
      const when = lost.map(({ stream, entry }) => `${stream.key} ${Math.round(entry.saidAt - at)}`)
      notes['said so many ms after the fault began'] = when.join(' ')
    }
    const result = report(fault, load, { at, end, recoveredAt, stopped, linesPerSecond, movements, notes, misses })
    return { ...result, misses: [...misses, ...fault.limits.flatMap(limit => limit(result) ?? [])] }
  } finally {
    load.stop()
  }
}

/** Fulfils when each user has heard and was heard since then. */
async function talking(load: Load, since: number, deadlineMs: number): Promise<void> {
  await waitUntil(() => load.silentSince(since).length === 0, {
    deadlineMs,
    everyMs: 20,
    describe: () => {
      const silent = load.silentSince(since)
      const example = load.users.find(({ name }) => name === silent[0])?.state
      return `${silent.length} users do not both hear and speak: ${silent.slice(0, 8).join(', ')}; the first is ${example}`
    },
  })
}

/** Waits until every line has a fate, or for as long as is allowed. */
async function settled(ledger: Ledger, deadlineMs: number): Promise<void> {
  const end = performance.now() + deadlineMs
  // A double may follow the first.
  await delay(1_000)
  while (ledger.open() > 0 && performance.now() < end) await delay(100)
}

/** Lines that IRC itself never handed to a living connection of the user: see {@link Gap}. */
function excuseGaps(load: Load, gap: Gap, at: number, stopped: number, movements: readonly Movement[]): void {
  if (gap === 'none') return
  const gaps = new Map<string, { from: number; until: number }[]>()
  for (const { user, kind, at: left } of movements)
    if (gap !== 'frozen' && kind === 'QUIT') append(gaps, user, { from: at - lastMomentMs, until: left })
  if (gap === 'frozen')
    for (const user of new Set(movements.map(movement => movement.user))) {
      const back = movements.find(({ user: who, kind }) => who === user && (kind === 'JOIN' || kind === 'NICK'))
      // Private lines go to the nick, which the old connection may hold for longer.
      const named = movements.find(({ nick, kind }) => nick === user && (kind === 'JOIN' || kind === 'NICK'))
      append(gaps, user, { from: at - lastMomentMs, until: back?.at ?? stopped })
      append(gaps, `${user} in private`, { from: at - lastMomentMs, until: named?.at ?? stopped })
    }
  for (const { stream, number, entry } of load.ledger.lines(({ direction }) => direction === 'to XMPP')) {
    const isPrivate = stream.key.startsWith('p')
    if (gap === 'killed, in private' && !isPrivate) continue
    const own = gaps.get(isPrivate && gap === 'frozen' ? `${stream.user} in private` : stream.user) ?? []
    if (own.some(({ from, until }) => entry.takenAt >= from && entry.saidAt <= until))
      load.ledger.excuse(stream, number, entry.takenAt < at ? 'in flight' : 'not connected')
  }
}

function append<T>(lists: Map<string, T[]>, key: string, item: T): void {
  const list = lists.get(key)
  if (list === undefined) lists.set(key, [item])
  else list.push(item)
}

function report(
  fault: Fault,
  load: Load,
  run: {
    at: number
    end: number
    recoveredAt: number
    stopped: number
    linesPerSecond: number
    movements: readonly Movement[]
    notes: Record<string, string | number>
    misses: readonly string[]
  },
): Result {
  const { at, end, recoveredAt, stopped, linesPerSecond, movements, notes, misses } = run
  const { ledger } = load
  const isToIrc = ({ direction }: Stream): boolean => direction === 'to IRC'
  const outages = ledger.outages(at, stopped)
  const gone = movements.filter(({ kind }) => kind === 'QUIT' || kind === 'PART' || kind === 'KICK')
  const affected = new Set(movements.map(({ user }) => user))
  const back = new Map(movements.filter(({ kind }) => kind === 'JOIN').map(({ user, at: time }) => [user, time]))
  let [handledBefore, handledDuring] = [0, 0]
  for (const { stream, entry } of ledger.lines(isToIrc)) {
    if (!affected.has(stream.user) || entry.heard === 0) continue
    if (entry.heardAt > at - lastMomentMs && entry.heardAt <= at + transitMs) handledBefore++
    if (entry.heardAt > at && entry.heardAt < (back.get(stream.user) ?? stopped)) handledDuring++
  }
  let missingInRooms = 0
  for (const { stream, entry } of ledger.lines(stream => !isToIrc(stream)))
    if (!stream.key.startsWith('p') && entry.heard === 0 && entry.excuse !== undefined) missingInRooms++
  return {
    fault: fault.name,
    toIrc: ledger.judge(isToIrc),
    toXmpp: ledger.judge(stream => !isToIrc(stream)),
    outageP50: Math.round(outages[Math.floor(outages.length / 2)] ?? 0),
    outageMax: Math.round(outages.at(-1) ?? 0),
    faultMs: Math.round(end - at),
    recoveryMs: Math.round(recoveredAt - end),
    linesPerSecond: Math.round(linesPerSecond),
    departures: gone.length,
    removals: load.removals.length,
    ...{ missingInRooms, handledBefore, handledDuring, notes, misses },
  }
}
