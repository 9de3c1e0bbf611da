import { readFileSync, readlinkSync } from 'node:fs'
import { hostname } from 'node:os'

/**
 * False when the process of this host that had this pid since this time is gone for certain: no such pid, a zombie, or
 * another process under its pid.
 */
export function isRunning(pid: number, startTime: number): boolean {
  try {
    // Tells even where /proc hides other users' processes.
    process.kill(pid, 0)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ESRCH') return false
  }
  const stat = statOf(pid)
  return stat === undefined || (!stat.isZombie && stat.startTime === startTime)
}

/** When a process of this host started, in clock ticks; undefined when it cannot be told. */
export const startTimeOf = (pid: number): number | undefined => statOf(pid)?.startTime

function statOf(pid: number): { startTime: number; isZombie: boolean } | undefined {
  const stat = readOptional(`/proc/${pid}/stat`)
  if (stat === undefined) return undefined
  // The name, in parentheses, may hold spaces and parentheses (proc(5)): fields count from behind it.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  return { startTime: Number(fields[19]), isZombie: fields[0] === 'Z' || fields[0] === 'X' }
}

/**
 * Where a pid means the same process: host name, boot and pid namespace. Undefined where /proc does not tell, then
 * only heartbeats do.
 */
export function hostIdentity(): string | undefined {
  const boot = readOptional('/proc/sys/kernel/random/boot_id')?.trim()
  const namespace = readLinkOptional('/proc/self/ns/pid')
  return boot && namespace ? `${hostname()}|${boot}|${namespace}` : undefined
}

function readOptional(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8')
  } catch (error) {
    if (isAbsent(error)) return undefined
    throw error
  }
}

function readLinkOptional(path: string): string | undefined {
  try {
    return readlinkSync(path)
  } catch (error) {
    if (isAbsent(error)) return undefined
    throw error
  }
}

// ESRCH: it ended between open and read. EACCES: a hardened /proc; heartbeats must do then.
const isAbsent = (error: unknown): boolean =>
  ['ENOENT', 'ESRCH', 'EACCES', 'ENOTDIR'].includes((error as NodeJS.ErrnoException).code ?? '')
