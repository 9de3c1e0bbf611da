import { readFileSync } from 'node:fs'
import { setTimeout as delay } from 'node:timers/promises'

const ticksPerSecond = 100 // USER_HZ, the same on every Linux that Node runs on

/** Processor seconds that a process has used, all threads. */
export function cpuSeconds(pid: number): number {
  const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  return (Number(fields[11]) + Number(fields[12])) / ticksPerSecond
}

/** Cores that each group of processes uses while `work` runs. */
export async function coresDuring<Group extends string>(
  groups: Record<Group, readonly number[]>,
  work: () => Promise<unknown>,
): Promise<Record<Group, number>> {
  const names = Object.keys(groups) as Group[]
  const used = () => names.map(name => groups[name].reduce((sum, pid) => sum + cpuSeconds(pid), 0))
  const before = used()
  const start = performance.now()
  await work()
  const seconds = (performance.now() - start) / 1000
  const after = used()
  const cores = names.map((name, index) => [name, ((after[index] ?? 0) - (before[index] ?? 0)) / seconds])
  return Object.fromEntries(cores) as Record<Group, number>
}

export const idle = (ms: number) => (): Promise<void> => delay(ms)
