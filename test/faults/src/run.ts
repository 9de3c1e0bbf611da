import { setTimeout as delay } from 'node:timers/promises'
import { waitUntil } from '@spectrum/stack'
import { ComponentTap } from './component-tap.ts'
import { type Allowance, excuse, judge, type Limit, type Observed, type Result } from './judge.ts'
import { doublesOf, isOpen, type Ledger } from './ledger.ts'
import { alwaysKept } from './limits.ts'
import type { Load, LoadRates } from './load/load.ts'
import type { System, Topology } from './system.ts'

/** What a fault may use while it happens. */
export interface Scene {
  readonly system: System
  readonly load: Load
  /** Counts from 1: faults take turns with what they choose. */
  readonly attempt: number
  /** Reads along on the component connections, where they pass a proxy. */
  readonly tap: ComponentTap | undefined
  /**
   * Says that something breaks now: what the last moments are counted from. The first time it is when the fault begins, for
   * one that was prepared for a while. `at`: when that was, in ms; now by default. The end of a component connection that passes a proxy is seen without.
   */
  strikes(at?: number): void
  /** Told beside the figures: `gap in bytes`, `killed`. */
  note(name: string, value: string | number): void
  /** Reports something that must not be, though the ledger cannot see it. */
  miss(sentence: string): void
}

/** One row of the table. */
export interface Fault extends Allowance {
  /** As in the table and on the command line. */
  readonly name: string
  readonly topology: Topology
  /** Part of the short form. */
  readonly isShort?: boolean
  readonly rates?: LoadRates
  /** Prepares what must be there before the fault. */
  prepare?(scene: Scene): Promise<void>
  /** Lets it happen; fulfils at its end, when everything that was taken away has been given back. */
  inject(scene: Scene): Promise<void>
  /** Looks at more than the ledger, when everybody talks again. */
  inspect?(scene: Scene): Promise<void>
  readonly limits: readonly Limit[]
}

const steadyMs = 4_000
const settleMs = 60_000
/** What happened so shortly before a run may be told in it. */
const beforehandMs = 5_000

/** Runs one fault under load on a system that is well, and judges it. */
export async function runFault(fault: Fault, system: System, load: Load, attempt: number): Promise<Result> {
  const notes: Record<string, string | number> = {}
  const misses: string[] = []
  const strikes: number[] = []
  await system.evenlyLoaded()
  using tap = system.componentProxy && new ComponentTap(system, load)
  const scene: Scene = {
    ...{ system, load, attempt, tap },
    strikes: (at = performance.now()) => strikes.push(at),
    note: (name, value) => {
      notes[name] = value
    },
    miss: sentence => misses.push(sentence),
  }
  await fault.prepare?.(scene)
  const begun = performance.now()
  load.start(fault.rates)
  try {
    await talking(load, begun + 500, 30_000)
    await delay(steadyMs)
    const linesPerSecond = load.spoken / ((performance.now() - begun) / 1000)
    const injected = performance.now()
    await fault.inject(scene)
    const end = performance.now()
    const at = strikes[0] ?? injected
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
    const observed = (): Observed => {
      const broken = system.componentProxy?.endings.map(ending => ending.at).filter(ending => ending >= at) ?? []
      return {
        ...{ at, end, recoveredAt, stopped, ledger: load.ledger, told: load.told },
        strikes: [at, ...strikes, ...broken],
        movements: load.movementsSince(at),
        changes: load.changesSince(begun - beforehandMs),
        removals: load.removals.length,
        hasWitness: load.watches.length > 0,
      }
    }
    excuse(fault, observed())
    await settled(load.ledger, Math.max(2_000, settleMs - (stopped - end)))
    excuse(fault, observed())
    if (fault.mayRepeat !== undefined)
      for (const { user, text } of tap?.[fault.mayRepeat] ?? []) load.mayRepeat(user, text)
    noteLost(load.ledger, at, notes)
    noteDoubled(load.ledger, at, notes)
    const result: Result = {
      ...judge(observed()),
      ...{ fault: fault.name, linesPerSecond: Math.round(linesPerSecond), notes, misses },
    }
    return { ...result, misses: [...misses, ...[...alwaysKept, ...fault.limits].flatMap(limit => limit(result) ?? [])] }
  } finally {
    load.stop()
  }
}

/** Fulfils when each user has heard, and was heard to say, something that was said since then. */
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

/** Says of some lost lines when they were said: where to look in the logs. */
function noteLost(ledger: Ledger, at: number, notes: Record<string, string | number>): void {
  const all = [...ledger.lines()].filter(({ entry }) => isOpen(entry))
  if (all.length === 0) return
  all.sort((a, b) => a.entry.saidAt - b.entry.saidAt)
  const step = Math.ceil(all.length / 15)
  const lost = all.filter((_, index) => index % step === 0 || index === all.length - 1)
  const when = lost.map(({ stream, entry }) => `${stream.key} ${Math.round(entry.saidAt - at)}`)
  notes['lost were said so many ms after the fault began'] = when.join(' ')
}

/** Says how far back what was repeated goes: a bound that is missed is explained by it. */
function noteDoubled(ledger: Ledger, at: number, notes: Record<string, string | number>): void {
  const times = [...ledger.lines()].filter(({ entry }) => doublesOf(entry) > 0).map(({ entry }) => entry.heardAt - at)
  if (times.length === 0) return
  notes['doubled were heard so many ms after the fault began'] =
    `${Math.round(Math.min(...times))} to ${Math.round(Math.max(...times))}`
}
