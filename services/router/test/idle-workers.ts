import { hostname } from 'node:os'
import type { ProcessInfo } from '@spectrum/bus'
import { waitUntil } from '@spectrum/stack'
import { findProcesses } from '../src/launchers/host-workers.ts'
import { ProcessLauncher, type ProcessLauncherOptions } from '../src/launchers/process-launcher.ts'
import { ListLog } from './harness.ts'

export type LauncherOwners = ProcessLauncherOptions['owners']

/** Owners of a bus on which nobody else is. */
export function lonelyOwners(others: readonly ProcessInfo[] = []): LauncherOwners {
  const self: ProcessInfo = { process: 'self', service: 'router', host: hostname(), pid: process.pid, info: {} }
  let { info } = self
  return {
    processes: service => [{ ...self, info }, ...others].filter(found => found.service === service),
    reportDeath: () => undefined,
    setInfo: said => {
      info = said
    },
  }
}

export interface IdleLauncherOptions {
  readonly code?: string
  readonly owners?: LauncherOwners
  readonly self?: string
  readonly unheardMs?: number
}

/** A launcher of programs that do nothing but end when they are asked to, or whatever `code` is. */
export function startIdleLauncher(
  mark: string,
  {
    code = 'setInterval(() => {}, 1000)',
    owners = lonelyOwners(),
    self = 'self',
    unheardMs = 120_000,
  }: IdleLauncherOptions = {},
) {
  const log = new ListLog()
  const exits: string[] = []
  const launcher = new ProcessLauncher({
    owners,
    self,
    program: place => ({ command: process.execPath, argv: ['-e', code, mark, `place=${place}`], env: {} }),
    placeOf: argv => Number(argv.find(word => word.startsWith('place='))?.slice('place='.length)),
    marks: [mark],
    idleMs: 50,
    unheardMs,
    log,
    onExit: how => exits.push(how),
  })
  return { launcher, log, exits, pids: () => idlePids(mark) }
}

export const idlePids = (mark: string) => findProcesses([mark]).map(({ pid }) => pid)

/** The places of the workers that run, in order. */
export const idlePlaces = (mark: string) =>
  [0, 1, 2, 3, 4, 5].flatMap(place => findProcesses([mark, `place=${place}`]).map(() => place))

/** Asks the launcher again and again until so many run. */
export async function untilIdle(launcher: ProcessLauncher, mark: string, wanted: number): Promise<void> {
  await waitUntil(() => {
    launcher.wanted(wanted)
    return idlePids(mark).length === wanted
  })
}

/** Runs a test, and ends whatever it leaves. */
export async function withIdleWorkers(mark: string, run: () => Promise<void>): Promise<void> {
  try {
    await run()
  } finally {
    for (const pid of idlePids(mark)) process.kill(pid, 'SIGKILL')
  }
}
