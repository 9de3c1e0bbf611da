import { headers as createHeaders, type Msg, nuid } from '@nats-io/transport-node'
import type { LaneCodec } from '@spectrum/messages'
import { batchIdHeader, formatBatchId } from './batch-id.ts'
import { type Connection, defaultMaxPayload, errCodes, JetStreamError, parseApiReply } from './connection.ts'
import { ItemTooLargeError, LaneFullError, type LanePublisher } from './lanes.ts'
import { Listeners } from './listeners.ts'
import type { ServiceName } from './options.ts'
import type { Streams } from './streams.ts'
import { inboxPrefix, type Lane, publishSubject } from './subjects.ts'
import type { Ticker, Ticking } from './ticker.ts'

const maxBatchItems = 512
const maxBatchBytes = 256 * 1024
const highWaterBytes = 256 * 1024
const hardBoundBytes = 8 * 2 ** 20
/** Left for headers in the server's largest message. */
const headerReserveBytes = 4096
const maxRetryMs = 2000
const firstRetryMs = 50

interface AckReceiver {
  receive(number: number, message: Msg): void
  sendAgain(): void
}

/** What all publishers of a process share: the connection and one inbox for the answers. */
export class PublisherHub {
  readonly connection: Connection
  readonly streams: Streams
  readonly ticker: Ticker
  readonly service: ServiceName
  readonly process: string
  readonly ackTimeoutMs: number
  readonly #inbox: string
  readonly #publishers: AckReceiver[] = []

  constructor(parts: {
    connection: Connection
    streams: Streams
    ticker: Ticker
    service: ServiceName
    process: string
    ackTimeoutMs: number
  }) {
    this.connection = parts.connection
    this.streams = parts.streams
    this.ticker = parts.ticker
    this.service = parts.service
    this.process = parts.process
    this.ackTimeoutMs = parts.ackTimeoutMs
    this.#inbox = `${inboxPrefix(this.service)}.ack.${nuid.next()}`
    this.connection.nc.subscribe(`${this.#inbox}.*.*`, {
      callback: (error, message) => {
        if (error) this.connection.log.error({ err: error }, 'publish answers cannot be received')
        else this.#dispatch(message)
      },
    })
    this.connection.connected.add(isConnected => {
      if (isConnected) for (const publisher of this.#publishers) publisher.sendAgain()
    })
  }

  /** The publisher's place in the inbox. */
  register(publisher: AckReceiver): string {
    this.#publishers.push(publisher)
    return `${this.#inbox}.${this.#publishers.length - 1}`
  }

  #dispatch(message: Msg): void {
    const tokens = message.subject.split('.')
    this.#publishers[Number(tokens.at(-2))]?.receive(Number(tokens.at(-1)), message)
  }
}

interface InFlight {
  number: number
  data: Uint8Array
  items: number
  bytes: number
  sends: number
  retryAt: number
}

/**
 * Adaptive batching: what was published during one turn of the event loop leaves together, one batch in flight; what
 * comes meanwhile leaves when it is acknowledged. A batch is sent again under the same id until it is acknowledged.
 */
export class BatchPublisher<T> implements LanePublisher<T>, AckReceiver, Ticking {
  readonly #hub: PublisherHub
  readonly #lane: Lane
  readonly #codec: LaneCodec<T>
  readonly #subject: string
  readonly #inbox: string
  // Grows over lives of this process too: numbers start at 1 in each.
  readonly #epoch = Date.now()
  readonly #relief: Listeners<[]>
  #items: T[] = []
  #sizes: number[] = []
  #head = 0
  #queuedBytes = 0
  #inFlight: InFlight | undefined
  #lastNumber = 0
  #isScheduled = false
  #wasCongested = false
  #published = 0
  #settled = 0
  #waiters: { until: number; resolve: () => void }[] = []

  constructor(hub: PublisherHub, lane: Lane, codec: LaneCodec<T>) {
    this.#hub = hub
    this.#relief = new Listeners(hub.connection.log)
    this.#lane = lane
    this.#codec = codec
    this.#subject = publishSubject(lane, hub.service)
    this.#inbox = hub.register(this)
  }

  publish(item: T): void {
    const bytes = this.#codec.sizeOf(item)
    if (bytes > maxBatchBytes) this.#checkSize(item)
    if (this.backlog.bytes + bytes > hardBoundBytes) {
      this.#hub.connection.count('bus_refused', { reason: 'lane-full' })
      throw new LaneFullError(this.#lane.key)
    }
    this.#items.push(item)
    this.#sizes.push(bytes)
    this.#queuedBytes += bytes
    this.#published++
    if (this.isCongested) this.#wasCongested = true
    this.#schedule()
  }

  durable(): Promise<void> {
    if (this.#settled === this.#published) return Promise.resolve()
    return new Promise(resolve => this.#waiters.push({ until: this.#published, resolve }))
  }

  get backlog(): { items: number; bytes: number } {
    return { items: this.#published - this.#settled, bytes: this.#queuedBytes + (this.#inFlight?.bytes ?? 0) }
  }

  get isCongested(): boolean {
    return this.#queuedBytes + (this.#inFlight?.bytes ?? 0) > highWaterBytes
  }

  onRelief(listener: () => void): Disposable {
    return this.#relief.add(listener)
  }

  /** After a reconnect: the batch in flight first, so that nothing overtakes it. */
  sendAgain(): void {
    if (this.#inFlight) this.#send(this.#inFlight)
    else this.#schedule()
  }

  tick(now: number): boolean {
    const batch = this.#inFlight
    if (!batch) return false
    if (now >= batch.retryAt && this.#hub.connection.isConnected) this.#send(batch)
    return true
  }

  /** The server's answer to batch `number`, or to an earlier sending of it. */
  receive(number: number, message: Msg): void {
    const batch = this.#inFlight
    if (batch?.number !== number) return
    if (message.headers?.code === 503) return this.#onNoResponders(batch)
    try {
      const ack = parseApiReply<{ duplicate?: boolean }>(message.data)
      this.#onAck(batch, ack.duplicate === true)
    } catch (error) {
      this.#onRefusal(batch, error)
    }
  }

  #checkSize(item: T): void {
    const bytes = this.#codec.encode([item]).length
    if (bytes <= this.#maxPayload) return
    this.#hub.connection.count('bus_refused', { reason: 'too-large' })
    throw new ItemTooLargeError(bytes, this.#maxPayload)
  }

  get #maxPayload(): number {
    return (this.#hub.connection.nc.info?.max_payload ?? defaultMaxPayload) - headerReserveBytes
  }

  #schedule(): void {
    if (this.#isScheduled || this.#inFlight || this.#head === this.#items.length) return
    this.#isScheduled = true
    setImmediate(() => {
      this.#isScheduled = false
      this.#flush()
    })
  }

  #flush(): void {
    // While there is no connection nothing may be given to the client: it would overtake what must be sent again.
    if (this.#inFlight || this.#head === this.#items.length || !this.#hub.connection.isConnected) return
    const { data, items, bytes } = this.#takeBatch()
    if (!data) {
      this.#settle(items)
      return this.#schedule()
    }
    this.#inFlight = { number: ++this.#lastNumber, data, items, bytes, sends: 0, retryAt: 0 }
    this.#hub.ticker.add(this)
    this.#send(this.#inFlight)
  }

  /** The next items of the queue, as many as one batch may hold; no data when they were dropped. */
  #takeBatch(): { data: Uint8Array | undefined; items: number; bytes: number } {
    for (let items = this.#countBatch(); ; items = Math.ceil(items / 2)) {
      const data = this.#encode(this.#items.slice(this.#head, this.#head + items))
      // A codec may understate its sizes, or refuse an item: the culprit is found by halving.
      if (!data && items > 1) continue
      if (!data) this.#hub.connection.count('bus_dropped', { reason: 'unencodable' })
      return { data, items, bytes: this.#remove(items) }
    }
  }

  #countBatch(): number {
    let bytes = 0
    let end = this.#head
    while (end < this.#items.length && end - this.#head < maxBatchItems) {
      bytes += this.#sizes[end] ?? 0
      if (end > this.#head && bytes > maxBatchBytes) break
      end++
    }
    return end - this.#head
  }

  /** Takes items off the queue's head; answers their bytes. */
  #remove(items: number): number {
    let bytes = 0
    for (let n = 0; n < items; n++) bytes += this.#sizes[this.#head++] ?? 0
    this.#queuedBytes -= bytes
    if (this.#head === this.#items.length || this.#head > 8192) {
      this.#items = this.#items.slice(this.#head)
      this.#sizes = this.#sizes.slice(this.#head)
      this.#head = 0
    }
    return bytes
  }

  #encode(items: T[]): Uint8Array | undefined {
    try {
      const data = this.#codec.encode(items)
      return data.length <= this.#maxPayload ? data : undefined
    } catch (error) {
      if (items.length === 1)
        this.#hub.connection.log.error({ err: error, lane: this.#lane.key }, 'an item cannot be encoded')
      return undefined
    }
  }

  #send(batch: InFlight): void {
    const { connection, process, ackTimeoutMs } = this.#hub
    if (batch.sends++ > 0) connection.count('bus_batches_resent', {})
    batch.retryAt = performance.now() + ackTimeoutMs
    const headers = createHeaders()
    headers.set(batchIdHeader, formatBatchId(this.#lane.key, process, this.#epoch, batch.number))
    connection.nc.publish(this.#subject, batch.data, { reply: `${this.#inbox}.${batch.number}`, headers })
  }

  #onAck(batch: InFlight, isDuplicate: boolean): void {
    if (isDuplicate) {
      this.#hub.connection.count('bus_batches_duplicate', {})
      // Nobody else may use our ids: without a second sending there is no duplicate.
      if (batch.sends === 1) this.#hub.connection.log.error({ lane: this.#lane.key }, 'a batch id was used before')
    }
    this.#inFlight = undefined
    this.#settle(batch.items)
    this.#flush()
  }

  #onNoResponders(batch: InFlight): void {
    this.#hub.connection.count('bus_publish_retries', { reason: 'no-responders' })
    this.#retryLater(batch)
    this.#hub.streams.forget(this.#lane.stream)
    this.#hub.streams.ensureLane(this.#lane).catch(error => {
      this.#hub.connection.log.debug({ err: error }, 'the lane has no stream yet')
    })
  }

  #onRefusal(batch: InFlight, error: unknown): void {
    const isFull = error instanceof JetStreamError && error.errCode === errCodes.streamFull
    this.#hub.connection.count('bus_publish_retries', { reason: isFull ? 'lane-full' : 'refused' })
    if (!isFull) this.#hub.connection.log.warn({ err: error, lane: this.#lane.key }, 'a batch was refused, trying on')
    this.#retryLater(batch)
  }

  #retryLater(batch: InFlight): void {
    batch.retryAt = performance.now() + Math.min(maxRetryMs, firstRetryMs * 2 ** Math.min(batch.sends - 1, 10))
  }

  #settle(items: number): void {
    this.#settled += items
    while (this.#waiters[0] && this.#waiters[0].until <= this.#settled) this.#waiters.shift()?.resolve()
    if (this.#wasCongested && this.backlog.bytes < highWaterBytes / 2) {
      this.#wasCongested = false
      this.#relief.emit()
    }
  }
}
