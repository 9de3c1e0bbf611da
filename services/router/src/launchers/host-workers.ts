import { readdirSync, readFileSync } from 'node:fs'

/** A worker of this machine that a launcher started: this router's, or another one's. */
export interface HostWorker {
  readonly pid: number
  /** Its command line, word by word. */
  readonly argv: readonly string[]
}

/**
 * The processes of this machine whose command line holds all of the words, by Linux's /proc; none where there is no /proc.
 * Cheap enough for every second: 7 µs for each process of the machine.
 * A process that is gone but whose end nobody has asked for has no command line any more, and does not count.
 */
export function findProcesses(words: readonly string[]): HostWorker[] {
  return pids()
    .map(pid => ({ pid, argv: commandLine(pid) }))
    .filter(({ argv }) => words.every(word => argv.includes(word)))
}

/** Whether the process runs, and is still the one that was started with these words. */
export function isRunningWith(pid: number, words: readonly string[]): boolean {
  const argv = commandLine(pid)
  return words.every(word => argv.includes(word))
}

function pids(): number[] {
  try {
    return readdirSync('/proc')
      .map(Number)
      .filter(pid => pid > 0)
  } catch (error) {
    if (isAbsent(error)) return []
    throw error
  }
}

function commandLine(pid: number): readonly string[] {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0')
  } catch (error) {
    if (isAbsent(error)) return []
    throw error
  }
}

/** It ended while we looked, or is not ours to look at. */
const isAbsent = (error: unknown): boolean =>
  error instanceof Error && 'code' in error && ['ENOENT', 'ESRCH', 'EACCES', 'EPERM'].includes(String(error.code))
