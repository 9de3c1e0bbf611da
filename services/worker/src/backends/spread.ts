import type { Bus, Owner } from '@spectrum/bus'

/** A worker, and how many backends it owns. */
export interface WorkerLoad {
  readonly process: string
  readonly backends: number
  readonly isDraining: boolean
}

/** What every worker tells in its heartbeat. */
export interface WorkerInfo extends Record<string, unknown> {
  /** How many backends it runs. */
  readonly backends: number
  /** Resident memory, bytes. */
  readonly rss: number
  /** Sessions by backend number. */
  readonly sessions: Readonly<Record<string, number>>
  /** It hands its backends over and takes none. */
  readonly isDraining: boolean
}

/** The live workers other than this one and what they own, least loaded first. */
export function otherWorkers(bus: Bus, owners: Iterable<Owner>): WorkerLoad[] {
  const counts = new Map<string, { backends: number; isDraining: boolean }>()
  for (const { process, info } of bus.owners.processes('worker'))
    if (process !== bus.processId) counts.set(process, { backends: 0, isDraining: info.isDraining === true })
  for (const { process } of owners) {
    const count = counts.get(process)
    if (count !== undefined) count.backends++
  }
  return [...counts]
    .map(([process, count]) => ({ process, ...count }))
    .sort((one, other) => one.backends - other.backends || (one.process < other.process ? -1 : 1))
}

/**
 * Who should get one of this worker's backends so that all have nearly the same number: nobody while the difference is less
 * than two (it would come back), while somebody has more than this worker (they give first), or while a worker drains.
 */
export function receiver(own: number, others: readonly WorkerLoad[]): string | undefined {
  const [least] = others
  if (least === undefined || others.some(({ isDraining }) => isDraining)) return undefined
  if (others.some(({ backends }) => backends > own)) return undefined
  return own - least.backends >= 2 ? least.process : undefined
}

/** Which worker each of a leaving worker's backends is meant for, so that they end up evenly loaded. */
export function heirs(count: number, others: readonly WorkerLoad[]): (string | undefined)[] {
  const loads = others.filter(({ isDraining }) => !isDraining).map(({ process, backends }) => ({ process, backends }))
  return Array.from({ length: count }, () => {
    const [first] = loads
    if (first === undefined) return undefined
    const least = loads.reduce((one, other) => (other.backends < one.backends ? other : one), first)
    least.backends++
    return least.process
  })
}
