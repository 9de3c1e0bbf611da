import type { ReportIdleRequest } from '@spectrum/messages'
import type { Logger } from '@spectrum/network'
import type { RunningBackend } from './running-backend.ts'

export interface IdleUsersOptions {
  /** Without any activity for so long a user is idle; seconds, 0: never. */
  readonly idleSeconds: number
  readonly log: Logger
  /** Milliseconds since the epoch. */
  now(): number
  /** Those that are not for idle users already. */
  backends(): Iterable<RunningBackend>
  report(request: ReportIdleRequest): Promise<unknown>
}

/** Of one backend in one report; the others follow at the next look. */
const maxReported = 500
const longestLookMs = 60_000
const shortestLookMs = 1_000

/** Tells the router which users did nothing for long, so that it may move them to backends of their kind. */
export class IdleUsers {
  readonly #options: IdleUsersOptions
  #isReporting = false

  constructor(options: IdleUsersOptions) {
    this.#options = options
  }

  start(): Disposable {
    const { idleSeconds, log } = this.#options
    if (idleSeconds === 0) return { [Symbol.dispose]: () => undefined }
    const lookMs = Math.min(longestLookMs, Math.max(shortestLookMs, idleSeconds * 100))
    const timer = setInterval(() => {
      this.look().catch(error => log.debug({ err: error }, 'idle users could not be told, which is tried again'))
    }, lookMs)
    return { [Symbol.dispose]: () => clearInterval(timer) }
  }

  /** Reports those who are idle now; rejects when nobody takes the report. */
  async look(): Promise<void> {
    if (this.#isReporting) return
    this.#isReporting = true
    try {
      for (const backend of this.#options.backends()) {
        const users = this.#idleOf(backend)
        const { number, epoch } = backend
        if (users.length > 0) await this.#options.report({ backend: number, epoch, users })
      }
    } finally {
      this.#isReporting = false
    }
  }

  #idleOf(backend: RunningBackend): string[] {
    const { idleSeconds, now } = this.#options
    const before = now() - idleSeconds * 1_000
    const users: string[] = []
    for (const { user, lastActiveMs, closing } of backend.sessions.values())
      if (lastActiveMs <= before && closing === undefined && users.push(user) === maxReported) break
    return users
  }
}
