import type { Clock } from '@spectrum/network'
import type { Connection } from './connection.ts'
import type { HeartbeatRecord } from './heartbeat.ts'
import { hostIdentity, isRunning } from './host-processes.ts'
import { Listeners } from './listeners.ts'
import type { ServiceName, Timings } from './options.ts'
import type { ProcessInfo } from './ownership.ts'
import { deathTopic, heartbeatKey } from './subjects.ts'
import type { Table } from './table.ts'

const pollMs = 1000
/** A dead process's record is removed by another of its service after so long. */
const forgetAfterMs = 600_000
const maxRememberedDead = 10_000

interface Seen {
  record: HeartbeatRecord
  revision: number
  seenAt: number
  isGone: boolean
  /** Not heard of since this process began to watch: its death may be long past. */
  isInherited: boolean
}

/** Knows which processes live, and which are dead beyond doubt. */
export class DeathWatch {
  readonly deaths: Listeners<[process: string]>
  /** Somebody reported this very process dead. */
  readonly reportedSelf: Listeners<[]>
  readonly #connection: Connection
  readonly #table: Table<HeartbeatRecord>
  readonly #self: { process: string; service: ServiceName }
  readonly #timings: Timings
  readonly #clock: Clock
  readonly #hostIdentity = hostIdentity()
  readonly #processes = new Map<string, Seen>()
  /** Of those that can never come back: their pid is gone, their launcher said so, or they said goodbye. */
  readonly #exited = new Set<string>()
  /** Asked about and never heard of, since when: a heartbeat may be on its way. */
  readonly #unheard = new Map<string, number>()
  readonly #subscriptions: Disposable[] = []
  #timer: NodeJS.Timeout | undefined
  #watchingSince: number
  #lastPollAt: number
  #hasStarted = false

  constructor(
    connection: Connection,
    table: Table<HeartbeatRecord>,
    self: { process: string; service: ServiceName },
    timings: Timings,
    clock: Clock,
  ) {
    this.deaths = new Listeners(connection.log)
    this.reportedSelf = new Listeners(connection.log)
    this.#connection = connection
    this.#table = table
    this.#self = self
    this.#timings = timings
    this.#clock = clock
    this.#watchingSince = clock.monotonic()
    this.#lastPollAt = this.#watchingSince
  }

  async start(): Promise<void> {
    const { nc, connected } = this.#connection
    this.#subscriptions.push(
      connected.add(() => {
        this.#watchingSince = this.#clock.monotonic()
      }),
      await this.#table.watch('', (key, entry) => this.#onRecord(key, entry)),
    )
    this.#hasStarted = true
    const reports = nc.subscribe(deathTopic('*').subject, {
      callback: (_, message) => this.#onReport(message.subject, message.string()),
    })
    this.#subscriptions.push({ [Symbol.dispose]: () => reports.unsubscribe() })
    this.#watchingSince = this.#clock.monotonic()
    this.#timer = setInterval(() => this.#poll(), Math.min(pollMs, this.#timings.deathMs / 5))
  }

  stop(): void {
    clearInterval(this.#timer)
    for (const subscription of this.#subscriptions) subscription[Symbol.dispose]()
  }

  isDead(process: string): boolean {
    if (process === this.#self.process) return false
    return this.#exited.has(process) || this.#isSilent(process, this.#clock.monotonic())
  }

  report(process: string): void {
    this.#connection.nc.publish(deathTopic(this.#self.service).subject, process)
    if (process !== this.#self.process) this.#exit(process)
  }

  processes(service?: ServiceName): ProcessInfo[] {
    return [...this.#processes.values()]
      .map(({ record }) => record)
      .filter(record => (!service || record.service === service) && !this.isDead(record.process))
      .map(({ process, service, host, pid, info }) => ({ process, service, host, pid, info }))
  }

  #onRecord(key: string, entry: { value: HeartbeatRecord; revision: number } | undefined): void {
    if (entry) {
      const { value: record, revision } = entry
      // A key belongs to one service, the record is what its writer says: it may not speak for others.
      if (key !== heartbeatKey(record.service, record.process)) {
        this.#connection.count('bus_dropped', { reason: 'foreign-heartbeat' })
        return
      }
      this.#unheard.delete(record.process)
      const facts = { seenAt: this.#clock.monotonic(), isGone: false, isInherited: !this.#hasStarted }
      this.#processes.set(record.process, { record, revision, ...facts })
      return
    }
    for (const { record } of this.#processes.values())
      if (heartbeatKey(record.service, record.process) === key) {
        this.#processes.delete(record.process)
        this.#exit(record.process, 'said goodbye')
        return
      }
  }

  #onReport(subject: string, process: string): void {
    const reporter = subject.slice(subject.lastIndexOf('.') + 1)
    // The router launches workers; of the others each may speak for its own kind only.
    if (reporter !== 'router' && !process.startsWith(`${reporter}-`)) {
      this.#connection.count('bus_refused', { reason: 'foreign-death-report' })
      return
    }
    if (process === this.#self.process) this.reportedSelf.emit()
    else this.#exit(process)
  }

  #exit(process: string, how = 'died'): void {
    if (this.#exited.has(process)) return
    this.#exited.add(process)
    if (this.#exited.size > maxRememberedDead) this.#exited.delete(this.#exited.values().next().value ?? '')
    this.#announce(process, how)
  }

  #announce(process: string, how: string): void {
    const seen = this.#processes.get(process)
    if (seen?.isGone) return
    if (seen) seen.isGone = true
    const { log } = this.#connection
    if (seen?.isInherited) log.debug({ process, how }, 'a process of earlier is gone')
    else log.info({ process, how }, 'a process is gone')
    this.deaths.emit(process)
  }

  #isSilent(process: string, now: number): boolean {
    if (!this.#connection.isConnected || this.#isUnsure(now)) return false
    const silentSince = this.#processes.get(process)?.seenAt ?? this.#unheardSince(process, now)
    return now - Math.max(silentSince, this.#watchingSince) > this.#timings.deathMs
  }

  #unheardSince(process: string, now: number): number {
    const since = this.#unheard.get(process)
    if (since === undefined && this.#unheard.size < maxRememberedDead) this.#unheard.set(process, now)
    return since ?? now
  }

  /**
   * This process was itself cut off or asleep: its own heartbeats must come back to it all the while, or silence says
   * nothing about others.
   */
  #isUnsure(now: number): boolean {
    const ownSeenAt = this.#processes.get(this.#self.process)?.seenAt ?? -Infinity
    const patienceMs = 2.5 * this.#timings.heartbeatMs
    return now - ownSeenAt > patienceMs || now - this.#lastPollAt > patienceMs
  }

  #poll(): void {
    const now = this.#clock.monotonic()
    if (!this.#connection.isConnected || this.#isUnsure(now)) this.#watchingSince = now
    this.#lastPollAt = now
    for (const seen of this.#processes.values()) {
      const { process } = seen.record
      if (process === this.#self.process) continue
      if (!this.#exited.has(process) && this.#isPidGone(seen.record)) this.#exit(process)
      if (this.#isSilent(process, now)) this.#announce(process, 'is silent')
      if (now - seen.seenAt > forgetAfterMs) this.#forget(seen)
    }
    for (const [process, since] of this.#unheard) {
      if (!this.#isSilent(process, now)) continue
      if (now - since > forgetAfterMs) this.#unheard.delete(process)
      else this.#exit(process)
    }
  }

  #isPidGone({ hostIdentity: host, pid, startTime }: HeartbeatRecord): boolean {
    if (!this.#hostIdentity || host !== this.#hostIdentity) return false
    return !isRunning(pid, startTime)
  }

  #forget({ record, revision }: Seen): void {
    this.#processes.delete(record.process)
    if (record.service !== this.#self.service) return
    this.#table
      .delete(heartbeatKey(record.service, record.process), revision)
      .catch(error => this.#connection.log.debug({ err: error }, 'an old heartbeat was not removed'))
  }
}
