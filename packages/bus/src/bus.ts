import type { LaneCodec } from '@spectrum/messages'
import type { LaneConsumer, LaneHandler, LanePublisher } from './lanes.ts'
import type { BusOptions } from './options.ts'
import type { Owners, Ownership } from './ownership.ts'
import type { Client, Handlers, ServiceDefinition } from './requests.ts'
import type { Lane, TableName, Topic } from './subjects.ts'
import type { Table, ValueCodec } from './table.ts'

/** The bus, as one process of one instance sees it. Disposing releases what it owns and closes the connection. */
export interface Bus extends AsyncDisposable {
  /** Unique per process life, e.g. "worker-<host>-<pid>-<random>". */
  readonly processId: string
  readonly isConnected: boolean
  onConnection(listener: (isConnected: boolean) => void): Disposable
  /** One per lane and process, cached. */
  publisher<T>(lane: Lane, codec: LaneCodec<T>): LanePublisher<T>
  /** Takes the lane's cursor over at the ownership's epoch and reads on from its first unfinished item. */
  consume<T>(lane: Lane, codec: LaneCodec<T>, ownership: Ownership, handler: LaneHandler<T>): Promise<LaneConsumer>
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
  throw new Error(`the bus of ${options.service} is not built yet${signal ? '' : ''}`)
}
