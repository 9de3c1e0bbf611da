import { type ChildProcess, spawn } from 'node:child_process'
import { hostname } from 'node:os'
import { setTimeout as delay } from 'node:timers/promises'
import type { Owners, ProcessInfo } from '@spectrum/bus'
import type { Logger } from '@spectrum/network'
import { findProcesses, isRunningWith } from './host-workers.ts'
import type { Launcher } from './launcher.ts'
import { Patience } from './patience.ts'
import { Succession } from './succession.ts'

/** What starts a worker. */
export interface WorkerProgram {
  readonly command: string
  readonly argv: readonly string[]
  readonly env: Readonly<Record<string, string>>
}

export interface ProcessLauncherOptions {
  readonly owners: Pick<Owners, 'processes' | 'reportDeath' | 'setInfo'>
  /** Name of this process on the bus. */
  readonly self: string
  /** The program of the worker in a free place (0, 1 …), which gives each its own ports. */
  readonly program: (place: number) => WorkerProgram
  /** The place of a worker that another router started, by its command line; undefined where places do not matter. */
  readonly placeOf: (argv: readonly string[]) => number | undefined
  /** Words of the command line by which the workers of this instance are known that a launcher started. */
  readonly marks: readonly string[]
  /** How long one worker too many is suffered. */
  readonly idleMs: number
  readonly log: Logger
  readonly onExit: (how: 'stopped' | 'crashed') => void
  /** How long workers may take to end when the launcher is disposed. Default 15 s. */
  readonly stopMs?: number
  /** How long a worker may be without a heartbeat before it is stopped. Default 120 s. */
  readonly unheardMs?: number
}

/** Exit code of a service that cannot use its configuration: it would not be better the next time. */
const badConfiguration = 78
/** A worker that ran so long had started well. */
const steadyMs = 30_000
const firstPauseMs = 500
const longestPauseMs = 30_000
const badConfigurationPauseMs = 60_000

interface Own {
  readonly child: ChildProcess
  readonly place: number
  readonly startedAt: number
  isStopping: boolean
}

/**
 * Runs workers as processes of this machine.
 *
 * They outlive a router that dies: nobody online should notice that. So they are sessions of their own (`detached`), write
 * to the router's own output, and are adopted by whichever router leads next on this machine: it finds them by their command
 * line, again at each review since yet another one may have led meanwhile, counts them, starts only what is missing and stops what is too many. Workers that it did not start itself,
 * here or elsewhere, count as well, by their heartbeats; those are never stopped.
 *
 * A worker that crashes is told to all processes at once, so that its backends are taken over, and replaced: at once the
 * first time, then after longer and longer pauses. One worker too many is stopped with SIGTERM after `idleMs`, the one with
 * the fewest sessions, and the next one not before that has ended. One that is not heard of for `unheardMs` is stopped, too.
 *
 * Disposing stops all workers of this machine that a launcher started, unless another router has them then ({@link Succession}).
 */
export class ProcessLauncher implements Launcher {
  readonly #options: ProcessLauncherOptions
  readonly #own = new Map<number, Own>()
  readonly #succession: Succession
  /** Those that another router started: the words of their command lines, by pid. */
  readonly #adopted = new Map<number, readonly string[]>()
  readonly #stopping = new Set<number>()
  readonly #surplus: Patience
  /** By pid. */
  readonly #unheard = new Map<number, Patience>()
  #crashes = 0
  #notBefore = Number.NEGATIVE_INFINITY
  #isDisposed = false

  constructor(options: ProcessLauncherOptions) {
    this.#options = options
    this.#surplus = new Patience(options.idleMs)
    this.#succession = new Succession(options)
  }

  /** Pids of the workers that a launcher started and that run. */
  get pids(): readonly number[] {
    return [...this.#own.keys(), ...this.#adopted.keys()]
  }

  wanted(workers: number): void {
    if (this.#isDisposed) return
    this.#look()
    this.#stopUnheard()
    const present = this.#count()
    for (let missing = workers - present; missing > 0 && performance.now() >= this.#notBefore; missing--) this.#start()
    const isTooMany = present - this.#stopping.size > workers && this.#stopping.size === 0
    if (this.#surplus.isOver(isTooMany)) this.#stopOne()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#isDisposed) return
    this.#isDisposed = true
    const { log, stopMs = 15_000 } = this.#options
    const heirs = await this.#succession.resign()
    this.#look()
    if (heirs.length > 0) {
      log.info({ workers: this.pids.length, heirs: heirs.length }, 'the workers are left to another router')
      for (const { child } of this.#own.values()) child.unref()
      return
    }
    for (const pid of this.pids) this.#terminate(pid)
    const deadline = performance.now() + stopMs
    while (this.pids.length > 0 && performance.now() < deadline) {
      await delay(50)
      this.#look()
    }
    if (this.pids.length > 0) log.error({ pids: this.pids }, 'workers do not end in time and are left alone')
    for (const { child } of this.#own.values()) child.unref()
  }

  /** What other routers of this machine started, and who of it has ended. */
  #look(): void {
    const found = findProcesses(this.#options.marks).filter(({ pid }) => !this.#own.has(pid))
    const workers = found.filter(({ pid }) => !this.#adopted.has(pid)).length
    if (workers > 0) this.#options.log.info({ workers }, 'workers that another router started are adopted')
    this.#adopted.clear()
    for (const { pid, argv } of found) this.#adopted.set(pid, argv)
    for (const pid of this.#stopping) if (!this.#own.has(pid) && !this.#adopted.has(pid)) this.#stopping.delete(pid)
  }

  /**
   * A worker that hangs, or that knows another NATS than we (its keys or servers were changed since it was started), counts as
   * one that works and would never be replaced. Others have taken over its backends long ago.
   */
  #stopUnheard(): void {
    const { owners, log, unheardMs = 120_000 } = this.#options
    const heard = new Set(here(owners.processes('worker')).map(({ pid }) => pid))
    const running = new Set(this.pids)
    for (const pid of this.#unheard.keys()) if (!running.has(pid)) this.#unheard.delete(pid)
    for (const pid of running) {
      const patience = this.#unheard.get(pid) ?? new Patience(unheardMs)
      this.#unheard.set(pid, patience)
      if (!patience.isOver(!heard.has(pid))) continue
      log.warn({ worker: pid }, 'a worker has not been heard of for long and is stopped')
      this.#terminate(pid, this.#stopping.has(pid) ? 'SIGKILL' : 'SIGTERM')
    }
  }

  /** Workers that are alive by their heartbeat, and those that have not had time for one. */
  #count(): number {
    const elsewhere = this.#options.owners
      .processes('worker')
      .filter(({ host, pid }) => host !== hostname() || !this.pids.includes(pid))
    return elsewhere.length + this.pids.length
  }

  #start(): void {
    const { program, log } = this.#options
    const place = this.#freePlace()
    const { command, argv, env } = program(place)
    const child = spawn(command, argv, { detached: true, stdio: ['ignore', 'inherit', 'inherit'], env: { ...env } })
    child.once('error', error => {
      log.error({ err: error }, 'a worker could not be started')
      if (child.pid === undefined) this.#pause(badConfigurationPauseMs)
    })
    const { pid } = child
    if (pid === undefined) return
    this.#own.set(pid, { child, place, startedAt: performance.now(), isStopping: false })
    child.once('exit', (code, signal) => this.#onExit(pid, code, signal))
    log.info({ worker: pid }, 'a worker was started')
  }

  #freePlace(): number {
    const { placeOf } = this.#options
    const taken = new Set<number | undefined>([...this.#own.values()].map(({ place }) => place))
    for (const argv of this.#adopted.values()) taken.add(placeOf(argv))
    let place = 0
    while (taken.has(place)) place++
    return place
  }

  #onExit(pid: number, code: number | null, signal: NodeJS.Signals | null): void {
    const { owners, log, onExit } = this.#options
    const own = this.#own.get(pid)
    this.#own.delete(pid)
    this.#stopping.delete(pid)
    for (const worker of here(owners.processes('worker'))) if (worker.pid === pid) owners.reportDeath(worker.process)
    // It ends well only when it is asked to: perhaps by another router, or by a person.
    if (own?.isStopping || this.#isDisposed || code === 0) {
      onExit('stopped')
      log.info({ worker: pid }, 'a worker has ended')
      return
    }
    onExit('crashed')
    const ranMs = performance.now() - (own?.startedAt ?? 0)
    if (ranMs > steadyMs) this.#crashes = 0
    const pauseMs = code === badConfiguration ? badConfigurationPauseMs : this.#nextPauseMs()
    this.#pause(pauseMs)
    log.error({ worker: pid, code, signal, ranMs: Math.round(ranMs), pauseMs }, 'a worker ended unasked')
  }

  #nextPauseMs(): number {
    const pauseMs = this.#crashes === 0 ? 0 : Math.min(longestPauseMs, firstPauseMs * 2 ** (this.#crashes - 1))
    this.#crashes++
    return pauseMs
  }

  #pause(pauseMs: number): void {
    this.#notBefore = Math.max(this.#notBefore, performance.now() + pauseMs)
  }

  /** The one with the fewest sessions: it disturbs the fewest users. */
  #stopOne(): void {
    const workers = here(this.#options.owners.processes('worker'))
    const sessions = new Map(workers.map(({ pid, info }) => [pid, sessionsIn(info)]))
    const pid = this.pids.toSorted((one, other) => (sessions.get(one) ?? 0) - (sessions.get(other) ?? 0))[0]
    if (pid === undefined) return
    this.#options.log.info({ worker: pid }, 'a worker is not needed any more')
    this.#terminate(pid)
  }

  #terminate(pid: number, signal: 'SIGTERM' | 'SIGKILL' = 'SIGTERM'): void {
    const own = this.#own.get(pid)
    this.#stopping.add(pid)
    if (own) {
      own.isStopping = true
      own.child.kill(signal)
    } else if (isRunningWith(pid, this.#options.marks)) process.kill(pid, signal)
  }
}

const here = (processes: readonly ProcessInfo[]) => processes.filter(({ host }) => host === hostname())

/** Of all backends that a worker runs, as its heartbeat says. */
function sessionsIn({ sessions }: Record<string, unknown>): number {
  if (typeof sessions !== 'object' || sessions === null) return 0
  return Object.values(sessions).reduce((sum: number, users: unknown) => sum + Number(users), 0)
}
