import { type Allowance, LoginBucket } from './login-bucket.ts'

/** What one worker wants of one host. */
export interface LoginWish {
  readonly host: string
  readonly source: string
  /** Of the users who wait, most recent first; milliseconds since the epoch. */
  readonly lastActiveMs: readonly number[]
  readonly waiting: number
  /** Logins that were let in and are not answered by the host; default 0. */
  readonly unanswered?: number
}

export interface LoginGrant {
  readonly host: string
  readonly source: string
  readonly turns: number
  readonly retryAfterMs: number
  readonly validMs: number
}

export interface LoginGovernorOptions extends Allowance {
  /** Hosts with an allowance of their own, by name in lower case. */
  readonly hosts?: ReadonlyMap<string, Allowance>
  /** Monotonic milliseconds. */
  readonly now: () => number
  readonly onGranted?: (turns: number) => void
  readonly onThrottled?: () => void
  readonly onRefused?: (reason: 'too-many-hosts' | 'too-many-wishes' | 'bad-host') => void
  /** Hosts that are remembered; users may name any. */
  readonly maxHosts?: number
}

interface Demand {
  readonly lastActiveMs: readonly number[]
  readonly waiting: number
  readonly atMs: number
}

interface Host {
  readonly bucket: LoginBucket
  /** By worker process. */
  readonly demands: Map<string, Demand>
  /** Logins that are not answered, by worker process, as it said last. */
  readonly unanswered: Map<string, { count: number; readonly atMs: number }>
}

const maxWishes = 500
const maxUsersTold = 64
const maxHostLength = 255
/** A worker that says nothing for so long does not keep its place any more: it is dead, or stands still. */
const demandMs = 3_000
/** A connection that was not answered for so long is given up by its worker. */
const unansweredMs = 20_000
const sweepMs = 1_000
const shortestRetryMs = 20
const longestRetryMs = 1_000

/**
 * Shares out the turns to log in to each network host, over all workers: to those users first who were active last. A pure
 * algorithm in the leading router. A new one has saved up nothing, so that with a change of the leader there are never more turns
 * than allowed.
 */
export class LoginGovernor {
  readonly #options: LoginGovernorOptions
  readonly #hosts = new Map<string, Host>()
  readonly #sinceMs: number
  #sweptMs: number

  constructor(options: LoginGovernorOptions) {
    this.#options = options
    this.#sinceMs = options.now()
    this.#sweptMs = this.#sinceMs
  }

  /** Logins that wait, as far as workers said lately. */
  get waiting(): number {
    const now = this.#options.now()
    let waiting = 0
    for (const { demands } of this.#hosts.values())
      for (const demand of demands.values()) if (now - demand.atMs < demandMs) waiting += demand.waiting
    return waiting
  }

  /** Logins per second that the most throttled host is asked for now; the configured rate when none throttles. */
  get lowestRate(): number {
    const now = this.#options.now()
    let lowest = this.#options.rate
    for (const [key, { bucket }] of this.#hosts) {
      const rate = bucket.rate(now)
      if (rate < this.#allowanceOf(key).rate) lowest = Math.min(lowest, rate)
    }
    return lowest
  }

  get hosts(): number {
    return this.#hosts.size
  }

  /** Remembers what this worker wishes, in place of what it wished before, and grants what is due to it now. */
  take(process: string, wishes: readonly LoginWish[]): LoginGrant[] {
    this.#sweepSometimes()
    if (wishes.length > maxWishes) this.#options.onRefused?.('too-many-wishes')
    return wishes.slice(0, maxWishes).map(wish => this.#grant(process, wish))
  }

  /** The host said that it is asked too often. */
  throttled(host: string, source: string): void {
    const found = this.#hostOf(host, source)
    if (found === undefined) return
    found.bucket.throttled(this.#options.now())
    this.#options.onThrottled?.()
  }

  #grant(process: string, { host, source, lastActiveMs, waiting, unanswered = 0 }: LoginWish): LoginGrant {
    const found = this.#hostOf(host, source)
    if (found === undefined) return { host, source, turns: 0, retryAfterMs: longestRetryMs, validMs: 0 }
    const { bucket, demands } = found
    const now = this.#options.now()
    const wished = lastActiveMs.slice(0, maxUsersTold)
    const others = [...demands].filter(([other, { atMs }]) => other !== process && now - atMs < demandMs)
    const free = bucket.turns(now, this.#unanswered(found, process, unanswered))
    const { turns, ahead } = share(
      wished,
      others.map(([, demand]) => demand.lastActiveMs),
      free,
    )
    if (turns > 0) {
      bucket.take(turns)
      // Until the worker says otherwise.
      found.unanswered.set(process, { count: unanswered + turns, atMs: now })
      this.#options.onGranted?.(turns)
    }
    const left = Math.max(0, waiting - turns)
    if (left === 0) demands.delete(process)
    else demands.set(process, { lastActiveMs: wished.slice(turns), waiting: left, atMs: now })
    const waitMs = left === 0 ? 0 : bucket.waitMs(ahead + 1, now)
    const retryAfterMs = Math.ceil(Math.min(longestRetryMs, Math.max(shortestRetryMs, waitMs)))
    return { host, source, turns, retryAfterMs, validMs: Math.floor(bucket.validMs) }
  }

  /** Of all workers, after this one has said how many of its own there are. */
  #unanswered({ unanswered }: Host, process: string, own: number): number {
    const now = this.#options.now()
    if (own === 0) unanswered.delete(process)
    else unanswered.set(process, { count: own, atMs: now })
    let sum = 0
    for (const { count, atMs } of unanswered.values()) if (now - atMs < unansweredMs) sum += count
    return sum
  }

  /** Undefined when it cannot be remembered: then nobody is let in. */
  #hostOf(host: string, source: string): Host | undefined {
    if (host === '' || host.length > maxHostLength || source.length > maxHostLength) {
      this.#options.onRefused?.('bad-host')
      return undefined
    }
    const key = `${host} ${source}`
    const known = this.#hosts.get(key)
    if (known !== undefined) return known
    const { maxHosts = 10_000, onRefused } = this.#options
    if (this.#hosts.size >= maxHosts) {
      onRefused?.('too-many-hosts')
      return undefined
    }
    const made = {
      bucket: new LoginBucket(this.#allowanceOf(key), this.#sinceMs),
      demands: new Map(),
      unanswered: new Map(),
    }
    this.#hosts.set(key, made)
    return made
  }

  #allowanceOf(key: string): Allowance {
    return this.#options.hosts?.get(key.slice(0, key.indexOf(' '))) ?? this.#options
  }

  /** Forgets workers that are silent, and hosts that a new bucket would serve the same. */
  #sweepSometimes(): void {
    const now = this.#options.now()
    if (now - this.#sweptMs < sweepMs) return
    this.#sweptMs = now
    for (const [key, { bucket, demands, unanswered }] of this.#hosts) {
      for (const [process, { atMs }] of demands) if (now - atMs >= demandMs) demands.delete(process)
      for (const [process, { atMs }] of unanswered) if (now - atMs >= unansweredMs) unanswered.delete(process)
      if (demands.size === 0 && unanswered.size === 0 && bucket.isFull(now)) this.#hosts.delete(key)
    }
  }
}

/**
 * How many of one worker's wishes are among the `free` most recent of all, and how many of the others' are ahead of the first that
 * is not, less the free turns.
 */
function share(
  wished: readonly number[],
  others: readonly (readonly number[])[],
  free: number,
): { turns: number; ahead: number } {
  const passed = others.map(() => 0)
  let turns = 0
  for (;;) {
    const next = wished[turns]
    let ahead = 0
    for (const [index, other] of others.entries()) {
      let at = passed[index] ?? 0
      while (next !== undefined && at < other.length && (other[at] as number) > next) at++
      passed[index] = at
      ahead += at
    }
    if (next === undefined || ahead + turns >= free) return { turns, ahead }
    turns++
  }
}
