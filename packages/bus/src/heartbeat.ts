import { hostname } from 'node:os'
import type { Clock, Logger } from '@spectrum/network'
import type { Connection } from './connection.ts'
import { hostIdentity, startTimeOf } from './host-processes.ts'
import { Listeners } from './listeners.ts'
import type { ServiceName, Timings } from './options.ts'
import { heartbeatKey } from './subjects.ts'
import type { Table } from './table.ts'

/** What a process says of itself every few seconds. */
export interface HeartbeatRecord {
  process: string
  service: ServiceName
  host: string
  /** See {@link hostIdentity}; empty where it cannot be told. */
  hostIdentity: string
  pid: number
  startTime: number
  beat: number
  info: Record<string, unknown>
}

export const isHeartbeat = ({ process, service, host, pid, info }: Partial<HeartbeatRecord>): boolean =>
  [process, service, host].every(name => typeof name === 'string') &&
  typeof pid === 'number' &&
  typeof info === 'object' &&
  info !== null

/** What is set within this time is told together. */
const tellMs = 50

/** Tells the others that this process lives, and this process how long it may act as an owner. */
export class Heartbeat {
  /** Renewed: `lapsed` when the lease had run out before, so that others may have taken over. */
  readonly renewed: Listeners<[lapsed: boolean]>
  readonly #table: Table<HeartbeatRecord>
  readonly #record: HeartbeatRecord
  readonly #timings: Timings
  readonly #clock: Clock
  readonly #log: Logger
  readonly #timer: NodeJS.Timeout
  readonly #connected: Disposable
  #renewedAt = -Infinity
  #retry: NodeJS.Timeout | undefined
  #told: Record<string, unknown> = {}
  #telling: NodeJS.Timeout | undefined
  #isBeating = false
  #isStopped = false

  constructor(
    connection: Connection,
    table: Table<HeartbeatRecord>,
    self: { process: string; service: ServiceName },
    timings: Timings,
    clock: Clock,
  ) {
    this.renewed = new Listeners(connection.log)
    this.#table = table
    this.#timings = timings
    this.#clock = clock
    this.#log = connection.log
    this.#record = {
      ...self,
      host: hostname(),
      hostIdentity: hostIdentity() ?? '',
      pid: process.pid,
      startTime: startTimeOf(process.pid) ?? 0,
      beat: 0,
      info: {},
    }
    this.#timer = setInterval(() => this.beat(), timings.heartbeatMs)
    this.#connected = connection.connected.add(isConnected => {
      if (isConnected) this.beat()
    })
    this.beat()
  }

  /** The last renewal is younger than the lease. */
  isValid(): boolean {
    return this.#clock.monotonic() - this.#renewedAt < this.#timings.leaseMs
  }

  /** Fulfils with the next renewal, at once when the lease is valid; and when the signal aborts. */
  whenValid(signal?: AbortSignal): Promise<void> {
    if (this.isValid() || signal?.aborted) return Promise.resolve()
    return new Promise(resolve => {
      const done = () => {
        listener[Symbol.dispose]()
        signal?.removeEventListener('abort', done)
        resolve()
      }
      const listener = this.renewed.add(() => {
        if (this.isValid()) done()
      })
      signal?.addEventListener('abort', done)
    })
  }

  /** Others learn of it within a moment, not only with the next beat. */
  setInfo(info: Record<string, unknown>): void {
    this.#record.info = info
    this.#tellSoon()
  }

  /** What was set last has been written. */
  get isInfoTold(): boolean {
    return this.#told === this.#record.info
  }

  #tellSoon(): void {
    if (this.#isStopped || this.isInfoTold) return
    this.#telling ??= setTimeout(() => {
      this.#telling = undefined
      this.beat()
    }, tellMs)
  }

  beat(): void {
    if (this.#isBeating || this.#isStopped) return
    this.#isBeating = true
    this.#renew()
      .catch(error => {
        this.#log.warn({ err: error }, 'this process could not renew its heartbeat, trying on')
        // Sooner than the next: while a cluster elects a leader every second of the lease counts.
        this.#retry = setTimeout(() => this.beat(), this.#timings.heartbeatMs / 10)
      })
      .finally(() => {
        this.#isBeating = false
        // What was set meanwhile.
        this.#tellSoon()
      })
  }

  /** Says goodbye (default: true): what this process still owns is free for others. */
  async stop(sayGoodbye = true): Promise<void> {
    this.#isStopped = true
    clearInterval(this.#timer)
    clearTimeout(this.#retry)
    clearTimeout(this.#telling)
    this.#connected[Symbol.dispose]()
    this.#renewedAt = -Infinity
    if (sayGoodbye) await this.#table.delete(heartbeatKey(this.#record.service, this.#record.process))
  }

  async #renew(): Promise<void> {
    // The start counts: the others count from the arrival, which is later.
    const start = this.#clock.monotonic()
    this.#record.beat++
    const { info } = this.#record
    await this.#table.put(heartbeatKey(this.#record.service, this.#record.process), this.#record)
    if (this.#isStopped) return
    const lapsed = !this.isValid() && this.#renewedAt !== -Infinity
    if (lapsed) this.#log.warn({ process: this.#record.process }, 'the lease had run out and is renewed')
    this.#renewedAt = start
    this.#told = info
    this.renewed.emit(lapsed)
  }
}
