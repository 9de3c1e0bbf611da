import { setTimeout as delay } from 'node:timers/promises'
import { type Connection, errCodes, JetStreamError } from './connection.ts'
import type { BusOptions, Limits } from './options.ts'
import { readableTables } from './permissions.ts'
import {
  bucketStream,
  bucketSubject,
  commandLane,
  deadStream,
  deadSubject,
  eventLane,
  jetStreamApi,
  type Lane,
  tableNames,
} from './subjects.ts'

interface StreamConfig {
  name: string
  subjects: string[]
  [field: string]: unknown
}

interface StreamReply {
  config: StreamConfig
}

const nanosPerMs = 1e6
const dedupWindowMs = 120_000
// A server that is asked by several processes at once may leave one of them without an answer.
const createTimeoutMs = 3000
export const defaultLimits: Limits = { maxMessagesPerLane: 50_000, maxStreamBytes: 2 ** 30, maxLaneShare: 1 / 8 }
const maxDeadBytes = 64 * 2 ** 20

/** Makes the streams and buckets that are missing; with authorization only the router may, and the others wait for it. */
export class Streams {
  readonly #connection: Connection
  readonly #options: BusOptions
  readonly #signal: AbortSignal
  readonly #ensured = new Map<string, Promise<void>>()
  /** Streams whose messages any replica may be asked for. */
  readonly #direct = new Set<string>()
  #isWaitingTold = false

  constructor(connection: Connection, options: BusOptions, signal: AbortSignal) {
    this.#connection = connection
    this.#options = options
    this.#signal = signal
  }

  /** What every process needs before it is of use. */
  async ensureAll(): Promise<void> {
    const { instance, service } = this.#options
    const tables = this.#mayCreate ? tableNames : readableTables[service]
    await Promise.all([
      ...tables.map(table => this.#ensure(bucketConfig(bucketStream(table), bucketSubject(table, '>')))),
      ...(this.#mayCreate ? [this.#ensure(this.#deadConfig(instance))] : []),
      this.ensureLane(eventLane(instance, 0)),
      this.ensureLane(commandLane(instance, 0)),
    ])
  }

  /** Fulfils when the lane's stream exists. */
  ensureLane(lane: Lane): Promise<void> {
    const { maxMessagesPerLane, maxStreamBytes } = { ...defaultLimits, ...this.#options.limits }
    return this.#ensure({
      name: lane.stream,
      subjects: [lane.streamSubjects],
      retention: 'limits',
      discard: 'new',
      // One hot lane must not fill the stream for the others.
      max_msgs_per_subject: maxMessagesPerLane,
      discard_new_per_subject: true,
      max_bytes: maxStreamBytes,
      storage: 'file',
      duplicate_window: dedupWindowMs * nanosPerMs,
    })
  }

  /** With authorization only the router may: who makes a stream chooses what it captures. */
  get #mayCreate(): boolean {
    return this.#options.service === 'router' || this.#options.nkeySeed === undefined
  }

  /** Forgets that the stream exists (default: all), so that the next call looks again. */
  forget(stream?: string): void {
    if (stream === undefined) this.#ensured.clear()
    else this.#ensured.delete(stream)
  }

  /** Whether messages of the stream can be got from any replica, as far as is known: buckets of former releases may differ. */
  allowsDirect(stream: string): boolean {
    return this.#direct.has(stream)
  }

  #deadConfig(instance: string): StreamConfig {
    return {
      name: deadStream(instance),
      subjects: [deadSubject(instance)],
      retention: 'limits',
      discard: 'old',
      max_bytes: maxDeadBytes,
      storage: 'file',
    }
  }

  #ensure(config: StreamConfig): Promise<void> {
    const known = this.#ensured.get(config.name)
    if (known) return known
    const ensured = this.#lookOrCreate({ ...config, num_replicas: this.#options.replicas ?? 1 })
    this.#ensured.set(config.name, ensured)
    ensured.catch(() => this.#ensured.delete(config.name))
    return ensured
  }

  async #lookOrCreate(config: StreamConfig): Promise<void> {
    for (let attempt = 0; ; attempt++) {
      this.#signal.throwIfAborted()
      try {
        if (await this.#exists(config.name)) return
        if (this.#mayCreate) {
          const subject = jetStreamApi.streamCreate(config.name)
          this.#learn(await this.#connection.api<StreamReply>(subject, config, createTimeoutMs))
          return
        }
        if (attempt % 20 === 0) this.#tellWaiting()
      } catch (error) {
        if (attempt % 20 === 3)
          this.#connection.log.warn({ stream: config.name, err: error }, 'a stream cannot be made yet, trying on')
      }
      await delay(Math.min(1000, 100 * (attempt + 1)), undefined, { signal: this.#signal })
    }
  }

  /** Once for all streams: at a first start none of them is there. */
  #tellWaiting(): void {
    if (!this.#isWaitingTold) this.#connection.log.info({}, 'waiting for the router to make the streams')
    this.#isWaitingTold = true
  }

  #learn({ config }: StreamReply): void {
    if (config.allow_direct === true) this.#direct.add(config.name)
    else this.#direct.delete(config.name)
  }

  async #exists(stream: string): Promise<boolean> {
    try {
      this.#learn(await this.#connection.api<StreamReply>(jetStreamApi.streamInfo(stream), undefined))
      return true
    } catch (error) {
      if (error instanceof JetStreamError && error.errCode === errCodes.streamNotFound) return false
      throw error
    }
  }
}

function bucketConfig(name: string, subject: string): StreamConfig {
  return {
    name,
    subjects: [subject],
    retention: 'limits',
    discard: 'new',
    max_msgs_per_subject: 1,
    storage: 'file',
    allow_rollup_hdrs: true,
    allow_direct: true,
    deny_delete: true,
  }
}
