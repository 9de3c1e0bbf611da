import type { Logger } from '@spectrum/network'
import type { RunningBackend } from './running-backend.ts'
import { heirs, receiver, type WorkerLoad } from './spread.ts'

export interface HandOverOptions {
  running(): RunningBackend[]
  /** Least loaded first. */
  others(): WorkerLoad[]
  /** Nothing is free, nobody is dying, the bus is there: the load may be evened out. */
  isSettled(): boolean
  readonly log: Logger
  readonly spacingMs: number
}

/** A hand-over costs its sessions a new network connection: one with sessions waits for so many spacings. */
const spacingsWithSessions = 5
/** So many looks in a row must agree: a worker that was just started, or is just gone, is seen by all then. */
const agreeingLooks = 3
const drainMs = 10_000
/** All of a leaving worker's backends are given away within this time, … */
const leaveMs = 16_000
const leastDrainMs = 1_000
/** … so many at a time. */
const leavingAtOnce = 8

/** Gives backends to other workers: one at a time to those with fewer, and all of them when this one leaves. */
export class HandOver {
  readonly #options: HandOverOptions
  #looks = 0
  #isBusy = false
  #isLeaving = false
  #lastMs = Number.NEGATIVE_INFINITY

  constructor(options: HandOverOptions) {
    this.#options = options
  }

  start(): Disposable {
    const timer = setInterval(() => this.#look(), this.#options.spacingMs)
    return { [Symbol.dispose]: () => clearInterval(timer) }
  }

  /** Hands all over, bounded in number and time; what could not be recorded is logged. */
  async leave(): Promise<void> {
    this.#isLeaving = true
    const deadline = performance.now() + leaveMs
    const backends = this.#options.running()
    const next = heirs(backends.length, this.#options.others())
    const waiting = backends.map((backend, index) => ({ backend, next: next[index] }))
    const work = async (): Promise<void> => {
      for (let job = waiting.shift(); job !== undefined; job = waiting.shift())
        await this.#drain(
          job.backend,
          Math.max(leastDrainMs, Math.min(drainMs, deadline - performance.now())),
          job.next,
        )
    }
    await Promise.all(Array.from({ length: leavingAtOnce }, work))
  }

  #look(): void {
    const { running, others, isSettled, spacingMs } = this.#options
    const backends = running()
    const to = this.#isBusy || this.#isLeaving || !isSettled() ? undefined : receiver(backends.length, others())
    this.#looks = to === undefined ? 0 : this.#looks + 1
    if (to === undefined || this.#looks < agreeingLooks) return
    const chosen = mostIdle(backends.filter(({ isStarted }) => isStarted))
    if (chosen === undefined) return
    const spacings = chosen.sessions.size > 0 ? spacingsWithSessions : 1
    if (performance.now() - this.#lastMs < spacings * spacingMs * 0.9) return
    this.#isBusy = true
    this.#options.log.info({ backend: chosen.number, to }, 'a backend is given to a worker with fewer')
    this.#drain(chosen, drainMs, to).finally(() => {
      this.#isBusy = false
      this.#lastMs = performance.now()
    })
  }

  async #drain(backend: RunningBackend, limitMs: number, next: string | undefined): Promise<void> {
    try {
      await backend.drain(limitMs, next)
    } catch (error) {
      this.#options.log.error({ err: error, backend: backend.number }, 'a backend was not handed over well')
    }
  }
}

/** The one whose users will miss it least: an empty one, else the one whose users did nothing for longest. */
function mostIdle(backends: readonly RunningBackend[]): RunningBackend | undefined {
  const [first] = backends
    .map(backend => ({ backend, last: lastActivity(backend), size: backend.sessions.size }))
    .sort((one, other) => one.last - other.last || one.size - other.size)
  return first?.backend
}

function lastActivity({ sessions }: RunningBackend): number {
  let last = 0
  for (const { lastActiveMs } of sessions.values()) last = Math.max(last, lastActiveMs)
  return last
}
