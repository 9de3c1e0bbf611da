import type { ReportThrottlingRequest, TakeLoginTurnsReply, TakeLoginTurnsRequest } from '@spectrum/messages'
import type { Clock, Logger } from '@spectrum/network'
import { LoginQueue, type LoginTurn, type WaitingLogin } from './login-queue.ts'

/** What became of turns: used, granted too late to be used, or granted when nobody waited any more. */
export type TurnResult = 'used' | 'late' | 'unused'

export interface LoginTurnsOptions {
  readonly process: string
  readonly clock: Clock
  readonly log: Logger
  /** Asks the leading router; rejects while there is none. */
  ask(request: TakeLoginTurnsRequest): Promise<TakeLoginTurnsReply>
  report(request: ReportThrottlingRequest): Promise<unknown>
  onTurns(result: TurnResult, count: number): void
  onAskFailed(): void
  onThrottled(): void
}

/** Hosts in one request, and users told of each. */
const maxWishes = 500
const maxUsersTold = 64
/** What comes in so short a time is asked for together. */
const gatherMs = 10
/** Between two requests for one host, whatever the router says; and how long the router is left alone when it is away. */
const leastPauseMs = 20
const longestPauseMs = 1_000
const awayPauseMs = 250
/** Within this time the router learns that a host has answered. */
const answeredPauseMs = 50
/** Of each host at most one report goes out in this time. */
const reportEveryMs = 1_000

/** The address that connections leave from: the machine's. */
const source = ''

/**
 * The turns of all sessions of this process to log in. A login waits here until the leading router grants a turn for its host;
 * without a router everybody waits. A turn that comes too late (this process or the router stood still) is not used, so that
 * no host is ever asked more often than it is allowed.
 */
export class LoginTurns implements Disposable {
  readonly #options: LoginTurnsOptions
  readonly #queues = new Map<string, LoginQueue>()
  readonly #reported = new Map<string, number>()
  #timer: NodeJS.Timeout | undefined
  #timerMs = 0
  #isAsking = false
  #isStopped = false
  #count = 0

  constructor(options: LoginTurnsOptions) {
    this.#options = options
  }

  /** Logins that wait. */
  get waiting(): number {
    let waiting = 0
    for (const queue of this.#queues.values()) waiting += queue.length
    return waiting
  }

  /**
   * Fulfils when it is the turn of a user who was active then; rejects with the signal's reason, and for nothing else. A host that
   * does not answer is asked no more often than it could be at once: whoever got the turn says when it did.
   */
  admit(host: string, lastActiveMs: number, signal: AbortSignal): Promise<LoginTurn> {
    if (signal.aborted) return Promise.reject(signal.reason)
    const { promise, resolve, reject } = Promise.withResolvers<LoginTurn>()
    const queue = this.#queueOf(hostKey(host))
    const giveUp = () => {
      if (queue.remove(login)) reject(signal.reason)
    }
    const login: WaitingLogin = {
      lastActiveMs,
      number: this.#count++,
      admit: () => {
        signal.removeEventListener('abort', giveUp)
        resolve(this.#turn(queue))
      },
    }
    signal.addEventListener('abort', giveUp, { once: true })
    queue.add(login)
    this.#schedule()
    return promise
  }

  #turn(queue: LoginQueue): LoginTurn {
    let isAnswered = false
    queue.unanswered++
    return {
      answered: () => {
        if (isAnswered) return
        isAnswered = true
        queue.unanswered--
        // Others may have to wait until the leading router knows.
        queue.nextAskMs = Math.min(queue.nextAskMs, this.#options.clock.monotonic() + answeredPauseMs)
        this.#schedule()
      },
    }
  }

  /** The host said that it is asked too often: the leading router is told, so that all workers slow down. */
  throttled(host: string): void {
    const { log, clock, report, onThrottled } = this.#options
    const key = hostKey(host)
    const now = clock.monotonic()
    onThrottled()
    for (const [old, atMs] of this.#reported) if (now - atMs >= reportEveryMs) this.#reported.delete(old)
    if (this.#reported.has(key)) return
    this.#reported.set(key, now)
    report({ host: key, source }).catch(error =>
      // Whoever is throttled next reports again.
      log.warn({ err: error, host: key }, 'the router could not be told that a host throttles logins'),
    )
  }

  /** Nobody is let in any more; whoever waits does so until their signals abort. */
  [Symbol.dispose](): void {
    this.#isStopped = true
    clearTimeout(this.#timer)
  }

  #queueOf(host: string): LoginQueue {
    let queue = this.#queues.get(host)
    if (queue === undefined) {
      queue = new LoginQueue(host, this.#options.clock.monotonic() + gatherMs)
      this.#queues.set(host, queue)
    }
    return queue
  }

  #schedule(): void {
    if (this.#isAsking || this.#isStopped || this.#queues.size === 0) return
    let nextMs = Number.POSITIVE_INFINITY
    for (const queue of this.#queues.values()) nextMs = Math.min(nextMs, queue.nextAskMs)
    if (this.#timer !== undefined && nextMs >= this.#timerMs) return
    clearTimeout(this.#timer)
    this.#timerMs = nextMs
    this.#timer = setTimeout(
      () => {
        this.#timer = undefined
        this.#askOnce().catch(error =>
          this.#options.log.error({ err: error }, 'turns to log in could not be asked for'),
        )
      },
      Math.max(0, nextMs - this.#options.clock.monotonic()),
    )
  }

  async #askOnce(): Promise<void> {
    const { ask, clock, log, onAskFailed, process } = this.#options
    const askedMs = clock.monotonic()
    const due = this.#due(askedMs)
    this.#isAsking = true
    try {
      if (due.length === 0) return
      const wishes = due.map(queue => ({
        host: queue.host,
        source,
        lastActiveMs: queue.first(maxUsersTold),
        waiting: queue.length,
        unanswered: queue.unanswered,
      }))
      for (const queue of due) queue.nextAskMs = askedMs + longestPauseMs
      this.#use(await ask({ process, wishes }), askedMs)
      for (const queue of due) queue.isKnown = queue.length > 0 || queue.unanswered > 0
    } catch (error) {
      onAskFailed()
      log.debug({ err: error, hosts: due.length }, 'no router grants turns to log in now')
      for (const queue of due) queue.nextAskMs = clock.monotonic() + awayPauseMs
    } finally {
      this.#isAsking = false
      this.#schedule()
    }
  }

  /** Queues to ask for now, or so soon that they can be asked for together. One that has emptied is asked for once more, which withdraws what the leader knows of it. */
  #due(nowMs: number): LoginQueue[] {
    const due: LoginQueue[] = []
    for (const queue of this.#queues.values()) {
      if (queue.length === 0 && queue.unanswered === 0 && !queue.isKnown) this.#queues.delete(queue.host)
      else if (queue.nextAskMs <= nowMs + gatherMs && due.length < maxWishes) due.push(queue)
    }
    return due
  }

  #use({ grants }: TakeLoginTurnsReply, askedMs: number): void {
    const { clock, onTurns } = this.#options
    for (const grant of grants) {
      const queue = grant.source === source ? this.#queues.get(grant.host) : undefined
      if (queue === undefined) continue
      // Read for each: whoever is let in takes time of its own.
      const now = clock.monotonic()
      const isInTime = now - askedMs < grant.validMs
      const used = isInTime ? queue.admit(grant.turns) : 0
      // Where nobody waits there is nothing to ask for, until an answer is to be told.
      const pauseMs = queue.length === 0 ? longestPauseMs : grant.retryAfterMs
      queue.nextAskMs = now + Math.min(longestPauseMs, Math.max(leastPauseMs, pauseMs))
      if (used > 0) onTurns('used', used)
      if (used < grant.turns) onTurns(isInTime ? 'unused' : 'late', grant.turns - used)
    }
  }
}

/** One name for one host, however a user writes it. */
function hostKey(host: string): string {
  const bare = host.startsWith('[') && host.endsWith(']') ? host.slice(1, -1) : host
  return (bare.endsWith('.') ? bare.slice(0, -1) : bare).toLowerCase()
}
