import { randomBytes } from 'node:crypto'
import { hostname } from 'node:os'
import { setTimeout as delay } from 'node:timers/promises'
import type { LaneCodec } from '@spectrum/messages'
import type { Clock } from '@spectrum/network'
import { Bucket } from './bucket.ts'
import { Connection } from './connection.ts'
import { type ConsumerContext, CursorConsumer } from './consumer.ts'
import { type CursorRecord, isCursor } from './cursor.ts'
import { type DeadLetter, DeadLetters } from './dead-letters.ts'
import { DeathWatch } from './death-watch.ts'
import { Heartbeat, type HeartbeatRecord, isHeartbeat } from './heartbeat.ts'
import { heldLanes } from './held-lanes.ts'
import type { LaneConsumer, LaneHandler, LanePublisher } from './lanes.ts'
import { guarded } from './listeners.ts'
import type { BusOptions, Timings } from './options.ts'
import { isOwner, type OwnerRecord, OwnerRegistry } from './owner-registry.ts'
import type { Owners, Ownership } from './ownership.ts'
import { Pacer } from './pacer.ts'
import { BatchPublisher, PublisherHub } from './publisher.ts'
import { Readers } from './reader.ts'
import { RequestBroker } from './request-broker.ts'
import type { Client, Handlers, ServiceDefinition } from './requests.ts'
import { defaultLimits, Streams } from './streams.ts'
import type { Lane, TableName, Topic } from './subjects.ts'
import { jsonValue, type Table, type ValueCodec } from './table.ts'
import { Ticker } from './ticker.ts'
import { TrialRoom } from './trial-room.ts'

/** The bus, as one process of one instance sees it. Disposing releases what it owns and closes the connection. */
export interface Bus extends AsyncDisposable {
  /** Unique per process life, e.g. "worker-<host>-<pid>-<random>". */
  readonly processId: string
  readonly isConnected: boolean
  onConnection(listener: (isConnected: boolean) => void): Disposable
  /** Bytes that are queued or unacknowledged on all lanes of this process. */
  readonly unpublishedBytes: number
  /** Called each time {@link unpublishedBytes} becomes less. */
  onPublishProgress(listener: () => void): Disposable
  /**
   * `mayPublish` is asked before each batch leaves, or is sent again; while it says no, what is published waits and may be
   * abandoned. Default: always. For a process that may have stood still while another took over what it speaks for.
   */
  guardPublishing(mayPublish: () => boolean): void
  /** One per lane and process, cached. */
  publisher<T>(lane: Lane, codec: LaneCodec<T>): LanePublisher<T>
  /** Takes the lane's cursor over at the ownership's epoch and reads on from its first unfinished item. */
  consume<T>(lane: Lane, codec: LaneCodec<T>, ownership: Ownership, handler: LaneHandler<T>): Promise<LaneConsumer>
  /**
   * Which lanes of the same stream as `lane` hold anything: {@link Lane.subject} and messages. A lane is emptied some seconds
   * after its owner has finished what is in it.
   */
  heldLanes(lane: Lane): Promise<ReadonlyMap<string, number>>
  /**
   * Puts aside what must not be tried again, where an operator finds it (the stream `dead.<instance>`); counted as `bus_dead`.
   * Fulfils when it is stored, or, logged and counted, given up; never rejects. Frontends and workers may.
   */
  setAside(letter: DeadLetter): Promise<void>
  readonly owners: Owners
  table<T>(name: TableName, codec?: ValueCodec<T>): Table<T>
  /** Calls a service: any of its processes, or the one that serves under `target`. */
  client<D extends ServiceDefinition>(definition: D, options?: { target?: string; timeoutMs?: number }): Client<D>
  /**
   * Serves requests, in a queue group per service, or under `target` only (a process or a role such as the leader). A
   * thrown NetworkError travels; anything else is logged and travels as `unexpected`.
   */
  serve<D extends ServiceDefinition>(definition: D, handlers: Handlers<D>, options?: { target?: string }): Disposable
  /** What may be lost: at most once, only to those who listen now. */
  notify(topic: Topic, payload: Uint8Array): void
  onNotify(topic: Topic, listener: (payload: Uint8Array) => void): Disposable
}

/** Connects (retrying for ever until `signal` aborts), creates streams and buckets that are missing. */
export async function connectBus(options: BusOptions, signal?: AbortSignal): Promise<Bus> {
  const processId = createProcessId(options.service)
  const connection = await Connection.open(options, processId, signal)
  const closing = new AbortController()
  const stop = signal ? AbortSignal.any([signal, closing.signal]) : closing.signal
  const streams = new Streams(connection, options, stop)
  try {
    await streams.ensureAll()
    const bus = new NatsBus({ options, processId, connection, streams, closing })
    await bus.start()
    return bus
  } catch (error) {
    closing.abort()
    await connection.close()
    throw error
  }
}

const defaultTimings: Timings = {
  heartbeatMs: 3000,
  leaseMs: 12_000,
  deathMs: 15_000,
  readerHeartbeatMs: 5000,
  commitMs: 30,
  purgeMs: 5000,
  ackTimeoutMs: 1500,
  fullPatienceMs: 2000,
}
const flushOnCloseMs = 2000
const purgeSpacingMs = 100

const cursorValue = jsonValue<CursorRecord>(isCursor)

const systemClock: Clock = { now: () => Date.now(), monotonic: () => performance.now() }

function createProcessId(service: string): string {
  const host = hostname()
    .replaceAll(/[^A-Za-z0-9-]/g, '-')
    .slice(0, 64)
  return `${service}-${host}-${process.pid}-${randomBytes(4).toString('hex')}`
}

class NatsBus implements Bus {
  readonly processId: string
  readonly owners: OwnerRegistry
  readonly #options: BusOptions
  readonly #connection: Connection
  readonly #streams: Streams
  readonly #readers: Readers
  readonly #buckets: ConstructorParameters<typeof Bucket>[0]
  readonly #timings: Timings
  readonly #ticker: Ticker
  readonly #hub: PublisherHub
  readonly #broker: RequestBroker
  readonly #heartbeat: Heartbeat
  readonly #deaths: DeathWatch
  readonly #consumers: ConsumerContext
  readonly #dead: DeadLetters
  readonly #closing: AbortController
  readonly #publishers = new Map<string, BatchPublisher<never>>()

  constructor(parts: {
    options: BusOptions
    processId: string
    connection: Connection
    streams: Streams
    closing: AbortController
  }) {
    const { options, processId, connection, streams } = parts
    const { service, instance, clock = systemClock } = options
    const self = { process: processId, service }
    this.processId = processId
    this.#options = options
    this.#connection = connection
    this.#streams = streams
    this.#closing = parts.closing
    this.#timings = { ...defaultTimings, ...options.timings }
    this.#readers = new Readers(connection, service)
    this.#buckets = {
      readers: this.#readers,
      streams,
      heartbeatMs: this.#timings.readerHeartbeatMs,
    }
    this.#ticker = new Ticker(Math.min(50, this.#timings.commitMs))
    this.#hub = new PublisherHub({
      connection,
      streams,
      ticker: this.#ticker,
      service,
      process: processId,
      ackTimeoutMs: this.#timings.ackTimeoutMs,
      fullPatienceMs: this.#timings.fullPatienceMs,
      cursors: this.#bucket('cursors', cursorValue),
      laneShare: () => this.#laneShare(),
    })
    this.#broker = new RequestBroker(connection, options, processId)
    const heartbeats = this.#bucket('heartbeats', jsonValue<HeartbeatRecord>(isHeartbeat))
    this.#heartbeat = new Heartbeat(connection, heartbeats, self, this.#timings, clock)
    this.#deaths = new DeathWatch(connection, heartbeats, self, this.#timings, clock)
    this.owners = new OwnerRegistry({
      connection,
      table: this.#bucket('owners', jsonValue<OwnerRecord>(isOwner)),
      heartbeat: this.#heartbeat,
      deaths: this.#deaths,
      process: processId,
    })
    this.#dead = new DeadLetters(connection, instance)
    this.#consumers = {
      connection,
      readers: this.#readers,
      streams,
      cursors: this.#bucket('cursors', cursorValue),
      ticker: this.#ticker,
      dead: this.#dead,
      purges: new Pacer(purgeSpacingMs),
      process: processId,
      timings: this.#timings,
      trials: new TrialRoom(),
    }
  }

  async start(): Promise<void> {
    this.#connection.connected.add(isConnected => {
      if (isConnected) this.#lookAfterReconnect()
    })
    await this.#deaths.start()
  }

  /** The server that came back may be an empty one. */
  #lookAfterReconnect(): void {
    this.#streams.forget()
    this.#streams
      .ensureAll()
      .then(() => this.owners.confirm())
      .catch(error => {
        if (!this.#closing.signal.aborted) this.#options.log.warn({ err: error }, 'no look round after the reconnect')
      })
  }

  get isConnected(): boolean {
    return this.#connection.isConnected
  }

  onConnection(listener: (isConnected: boolean) => void): Disposable {
    return this.#connection.connected.add(listener)
  }

  get unpublishedBytes(): number {
    return this.#hub.unpublishedBytes
  }

  onPublishProgress(listener: () => void): Disposable {
    return this.#hub.onProgress(listener)
  }

  guardPublishing(mayPublish: () => boolean): void {
    this.#hub.mayPublish = mayPublish
  }

  publisher<T>(lane: Lane, codec: LaneCodec<T>): LanePublisher<T> {
    let publisher = this.#publishers.get(lane.key)
    if (!publisher) {
      publisher = new BatchPublisher(this.#hub, lane, codec) as BatchPublisher<never>
      this.#publishers.set(lane.key, publisher)
    }
    return publisher as unknown as LanePublisher<T>
  }

  consume<T>(lane: Lane, codec: LaneCodec<T>, ownership: Ownership, handler: LaneHandler<T>): Promise<LaneConsumer> {
    return CursorConsumer.open(this.#consumers, lane, codec, ownership, handler)
  }

  heldLanes(lane: Lane): Promise<ReadonlyMap<string, number>> {
    return heldLanes(this.#connection, lane)
  }

  setAside(letter: DeadLetter): Promise<void> {
    return this.#dead.put(letter)
  }

  table<T>(name: TableName, codec?: ValueCodec<T>): Table<T> {
    return this.#bucket(name, codec)
  }

  client<D extends ServiceDefinition>(definition: D, options?: { target?: string; timeoutMs?: number }): Client<D> {
    return this.#broker.client(definition, options)
  }

  serve<D extends ServiceDefinition>(definition: D, handlers: Handlers<D>, options?: { target?: string }): Disposable {
    return this.#broker.serve(definition, handlers, options)
  }

  notify(topic: Topic, payload: Uint8Array): void {
    if (this.#connection.isConnected) this.#connection.nc.publish(topic.subject, payload)
    else this.#connection.count('bus_dropped', { reason: 'notify-while-disconnected' })
  }

  onNotify(topic: Topic, listener: (payload: Uint8Array) => void): Disposable {
    const subscription = this.#connection.nc.subscribe(topic.subject, {
      callback: (error, message) => {
        if (error) this.#connection.log.error({ err: error }, 'notifications cannot be received')
        else guarded(this.#connection.log, () => listener(message.data))
      },
    })
    return { [Symbol.dispose]: () => subscription.unsubscribe() }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const { log } = this.#options
    const published = Promise.all([...this.#publishers.values()].map(publisher => publisher.durable()))
    const inTime = await Promise.race([published, delay(flushOnCloseMs, 'late', { ref: false })])
    if (inTime === 'late') log.warn({}, 'the bus closes before all that was published is durable')
    this.#closing.abort()
    if (this.#connection.isConnected) {
      await this.owners.releaseAll()
      await this.#heartbeat.stop().catch(error => log.warn({ err: error }, 'no goodbye could be said'))
    } else await this.#heartbeat.stop(false)
    this.#deaths.stop()
    this.#readers.close()
    this.#ticker.close()
    await this.#connection.close()
  }

  /** What one process may add to a lane whose owner finishes nothing: the processes of a service divide the lane's share. */
  #laneShare(): number {
    const { maxStreamBytes, maxLaneShare } = { ...defaultLimits, ...this.#options.limits }
    return (maxStreamBytes * maxLaneShare) / Math.max(1, this.#deaths.processes(this.#options.service).length)
  }

  #bucket<T>(name: TableName, codec: ValueCodec<T> = jsonValue<T>()): Bucket<T> {
    return new Bucket(this.#buckets, name, codec)
  }
}
