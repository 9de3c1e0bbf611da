import { headers as createHeaders, type Msg, nuid } from '@nats-io/transport-node'
import type { LaneCodec } from '@spectrum/messages'
import type { NetworkError } from '@spectrum/network'
import { batchIdHeader, formatBatchId } from './batch-id.ts'
import { type Connection, defaultMaxPayload, errCodes, JetStreamError, parseApiReply } from './connection.ts'
import type { CursorRecord } from './cursor.ts'
import { LaneShare } from './lane-share.ts'
import { AbandonedError, ItemTooLargeError, LaneFullError, type LanePublisher } from './lanes.ts'
import { guarded, Listeners } from './listeners.ts'
import type { ServiceName } from './options.ts'
import type { Streams } from './streams.ts'
import { inboxPrefix, type Lane, publishSubject } from './subjects.ts'
import type { Table } from './table.ts'
import type { Ticker, Ticking } from './ticker.ts'

const maxBatchItems = 512
const maxBatchBytes = 256 * 1024
const highWaterBytes = 256 * 1024
const hardBoundBytes = 8 * 2 ** 20
/** Left for headers in the server's largest message. */
const headerReserveBytes = 4096
const maxRetryMs = 2000
const firstRetryMs = 50
/** How often the owner's cursor is looked at while this process has filled its share of the lane. */
const shareCheckMs = 200

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
  readonly fullPatienceMs: number
  readonly cursors: Table<CursorRecord>
  /** Bytes that this process may add to one lane while its owner finishes nothing. */
  readonly laneShare: () => number
  /** Asked before each batch leaves, or leaves again. */
  mayPublish: () => boolean = () => true
  readonly #inbox: string
  readonly #publishers: AckReceiver[] = []
  readonly #progress: Listeners<[]>
  #unpublishedBytes = 0

  constructor(parts: {
    connection: Connection
    streams: Streams
    ticker: Ticker
    service: ServiceName
    process: string
    ackTimeoutMs: number
    fullPatienceMs: number
    cursors: Table<CursorRecord>
    laneShare: () => number
  }) {
    this.connection = parts.connection
    this.#progress = new Listeners(parts.connection.log)
    this.streams = parts.streams
    this.ticker = parts.ticker
    this.service = parts.service
    this.process = parts.process
    this.ackTimeoutMs = parts.ackTimeoutMs
    this.fullPatienceMs = parts.fullPatienceMs
    this.cursors = parts.cursors
    this.laneShare = parts.laneShare
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

  /** Bytes that are queued or unacknowledged on all lanes of this process. */
  get unpublishedBytes(): number {
    return this.#unpublishedBytes
  }

  /** Called each time they become fewer. */
  onProgress(listener: () => void): Disposable {
    return this.#progress.add(listener)
  }

  /** A publisher took so many bytes, or (less than 0) is rid of them. */
  count(bytes: number): void {
    this.#unpublishedBytes += bytes
    if (bytes < 0) this.#progress.emit()
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

interface InFlight<T> {
  number: number
  data: Uint8Array
  queued: Queued<T>[]
  bytes: number
  sends: number
  /** Sent over this connection and not answered: one of them may still be stored. */
  unanswered: number
  retryAt: number
}

interface Queued<T> {
  readonly item: T
  readonly bytes: number
  /** How many had been published with it. */
  readonly number: number
  readonly onRefused: ((error: NetworkError) => void) | undefined
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
  #queue: Queued<T>[] = []
  #head = 0
  #queuedBytes = 0
  #inFlight: InFlight<T> | undefined
  #lastNumber = 0
  readonly #share: LaneShare
  /** Since when there has been no room: the server refused every batch, or the lane's share was full. */
  #fullSince: number | undefined
  #isCheckingShare = false
  #checkShareAt = 0
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
    this.#share = new LaneShare(hub.cursors, lane.key, hub.laneShare)
  }

  publish(item: T, onRefused?: (error: NetworkError) => void): void {
    const bytes = this.#codec.sizeOf(item)
    if (bytes > maxBatchBytes) this.#checkSize(item)
    if (this.backlog.bytes + bytes > hardBoundBytes) {
      this.#hub.connection.count('bus_refused', { reason: 'lane-full' })
      throw new LaneFullError(this.#lane.key)
    }
    this.#queue.push({ item, bytes, number: ++this.#published, onRefused })
    this.#queuedBytes += bytes
    this.#hub.count(bytes)
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

  abandon(): number {
    const batch = this.#inFlight
    const sent = batch?.queued.filter(({ onRefused }) => onRefused !== undefined) ?? []
    const waiting = this.#queue.slice(this.#head)
    const unsent = waiting.filter(({ onRefused }) => onRefused !== undefined)
    this.#queue = waiting.filter(({ onRefused }) => onRefused === undefined)
    this.#head = 0
    this.#queuedBytes = bytesOf(this.#queue)
    const isWhole = batch !== undefined && sent.length === batch.queued.length
    // Its number is not used again: it may have been stored, and its answer is no longer waited for.
    if (isWhole) this.#inFlight = undefined
    else if (batch) batch.queued = batch.queued.map(queued => ({ ...queued, onRefused: undefined }))
    const { log } = this.#hub.connection
    for (const { onRefused } of sent) guarded(log, () => onRefused?.(new AbandonedError(false)))
    for (const { onRefused } of unsent) guarded(log, () => onRefused?.(new AbandonedError(true)))
    this.#settle(isWhole ? [...sent, ...unsent] : unsent)
    this.#schedule()
    return sent.length + unsent.length
  }

  /** After a reconnect: the batch in flight first, so that nothing overtakes it. */
  sendAgain(): void {
    this.#share.reset()
    if (!this.#inFlight) return this.#schedule()
    this.#inFlight.unanswered = 0
    if (this.#hub.mayPublish()) this.#send(this.#inFlight)
  }

  tick(now: number): boolean {
    const batch = this.#inFlight
    if (!batch) return this.#tickWithoutBatch()
    if (now >= batch.retryAt && this.#hub.connection.isConnected && this.#hub.mayPublish()) this.#send(batch)
    return true
  }

  /** The server's answer to batch `number`, or to an earlier sending of it. */
  receive(number: number, message: Msg): void {
    const batch = this.#inFlight
    if (batch?.number !== number) return
    if (message.headers?.code === 503) return this.#onNoResponders(batch)
    try {
      const ack = parseApiReply<{ seq: number; duplicate?: boolean }>(message.data)
      if (this.#share.add(ack.seq, batch.data.length)) this.#checkShare()
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
    if (this.#isScheduled || this.#inFlight || this.#head === this.#queue.length) return
    this.#isScheduled = true
    setImmediate(() => {
      this.#isScheduled = false
      this.#flush()
    })
  }

  #flush(): void {
    // While there is no connection nothing may be given to the client: it would overtake what must be sent again.
    if (this.#inFlight || this.#head === this.#queue.length || !this.#hub.connection.isConnected) return
    if (this.#share.isOver) return this.#waitForRoom()
    if (!this.#hub.mayPublish()) return this.#hub.ticker.add(this)
    const { data, queued } = this.#takeBatch()
    if (!data) {
      this.#settle(queued)
      return this.#schedule()
    }
    const bytes = bytesOf(queued)
    this.#inFlight = { number: ++this.#lastNumber, data, queued, bytes, sends: 0, unanswered: 0, retryAt: 0 }
    this.#hub.ticker.add(this)
    this.#send(this.#inFlight)
  }

  /** The next items of the queue, as many as one batch may hold; no data when they were dropped. */
  #takeBatch(): { data: Uint8Array | undefined; queued: Queued<T>[] } {
    for (let count = this.#countBatch(); ; count = Math.ceil(count / 2)) {
      const queued = this.#queue.slice(this.#head, this.#head + count)
      const data = this.#encode(queued.map(({ item }) => item))
      // A codec may understate its sizes, or refuse an item: the culprit is found by halving.
      if (!data && count > 1) continue
      if (!data) this.#hub.connection.count('bus_dropped', { reason: 'unencodable' })
      this.#remove(queued)
      return { data, queued }
    }
  }

  #countBatch(): number {
    let bytes = 0
    let end = this.#head
    while (end < this.#queue.length && end - this.#head < maxBatchItems) {
      bytes += this.#queue[end]?.bytes ?? 0
      if (end > this.#head && bytes > maxBatchBytes) break
      end++
    }
    return end - this.#head
  }

  /** Takes them off the queue's head. */
  #remove(queued: readonly Queued<T>[]): void {
    for (const { bytes } of queued) this.#queuedBytes -= bytes
    this.#head += queued.length
    if (this.#head < this.#queue.length && this.#head <= 8192) return
    this.#queue = this.#queue.slice(this.#head)
    this.#head = 0
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

  #send(batch: InFlight<T>): void {
    const { connection, process, ackTimeoutMs } = this.#hub
    if (batch.sends++ > 0) connection.count('bus_batches_resent', {})
    batch.unanswered++
    batch.retryAt = performance.now() + ackTimeoutMs
    const headers = createHeaders()
    headers.set(batchIdHeader, formatBatchId(this.#lane.key, process, this.#epoch, batch.number))
    connection.nc.publish(this.#subject, batch.data, { reply: `${this.#inbox}.${batch.number}`, headers })
  }

  #onAck(batch: InFlight<T>, isDuplicate: boolean): void {
    if (isDuplicate) {
      this.#hub.connection.count('bus_batches_duplicate', {})
      // Nobody else may use our ids: without a second sending there is no duplicate.
      if (batch.sends === 1) this.#hub.connection.log.error({ lane: this.#lane.key }, 'a batch id was used before')
    }
    this.#inFlight = undefined
    this.#fullSince = undefined
    this.#settle(batch.queued)
    this.#flush()
  }

  #onNoResponders(batch: InFlight<T>): void {
    batch.unanswered--
    this.#hub.connection.count('bus_publish_retries', { reason: 'no-responders' })
    this.#retryLater(batch)
    this.#hub.streams.forget(this.#lane.stream)
    this.#hub.streams.ensureLane(this.#lane).catch(error => {
      this.#hub.connection.log.debug({ err: error }, 'the lane has no stream yet')
    })
  }

  #onRefusal(batch: InFlight<T>, error: unknown): void {
    const isFull = error instanceof JetStreamError && error.errCode === errCodes.streamFull
    this.#hub.connection.count('bus_publish_retries', { reason: isFull ? 'lane-full' : 'refused' })
    batch.unanswered--
    if (!isFull) this.#hub.connection.log.warn({ err: error, lane: this.#lane.key }, 'a batch was refused, trying on')
    else if (this.#hasGivenUp(batch)) return this.#failBack(batch)
    this.#retryLater(batch)
  }

  /** No room for a while, and no sending of the batch may still find some. */
  #hasGivenUp(batch: InFlight<T>): boolean {
    return this.#isFullTooLong('the lane takes nothing: its stream or its share is full') && batch.unanswered <= 0
  }

  #isFullTooLong(sentence: string): boolean {
    const now = performance.now()
    if (this.#fullSince === undefined) this.#hub.connection.log.error({ lane: this.#lane.key }, sentence)
    this.#fullSince ??= now
    return now - this.#fullSince >= this.#hub.fullPatienceMs
  }

  /** What has a source that can be told is refused, in flight or queued; the rest of the batch goes on under its number. */
  #failBack(batch: InFlight<T>): void {
    const refused = [...batch.queued.filter(({ onRefused }) => onRefused !== undefined), ...this.#takeRefusable()]
    const kept = batch.queued.filter(({ onRefused }) => onRefused === undefined)
    const data =
      kept.length > 0 && kept.length < batch.queued.length ? this.#encode(kept.map(({ item }) => item)) : batch.data
    if (kept.length > 0 && data) {
      batch.bytes = bytesOf(kept)
      Object.assign(batch, { queued: kept, data })
      this.#retryLater(batch)
    } else {
      // Nothing was stored under the number: the next batch has it, and no consumer misses one.
      this.#inFlight = undefined
      this.#lastNumber--
    }
    this.#refuse(refused, 'stream-full')
    this.#schedule()
  }

  /** Takes off the queue what has a source that can be told. */
  #takeRefusable(): Queued<T>[] {
    const waiting = this.#queue.slice(this.#head)
    this.#queue = waiting.filter(({ onRefused }) => onRefused === undefined)
    this.#head = 0
    this.#queuedBytes = bytesOf(this.#queue)
    return waiting.filter(({ onRefused }) => onRefused !== undefined)
  }

  #refuse(refused: readonly Queued<T>[], reason: 'stream-full' | 'lane-share'): void {
    if (refused.length === 0) return
    const { connection } = this.#hub
    connection.count('bus_refused', { reason }, refused.length)
    for (const { onRefused } of refused) guarded(connection.log, () => onRefused?.(new LaneFullError(this.#lane.key)))
    this.#settle(refused)
  }

  /** The lane's owner finishes nothing, and this process has filled its share: the stream's other lanes need the rest. */
  #waitForRoom(): void {
    // Also for what is refused at once, or nobody would ever see that the owner is back.
    if (this.#hub.connection.isConnected && performance.now() >= this.#checkShareAt) this.#checkShare()
    if (this.#isFullTooLong('the lane is full: its owner finishes nothing'))
      this.#refuse(this.#takeRefusable(), 'lane-share')
    this.#hub.ticker.add(this)
  }

  /** Something that waits had no room, or might not leave. */
  #tickWithoutBatch(): boolean {
    if (this.#head === this.#queue.length) return false
    const { connection, mayPublish } = this.#hub
    if (!connection.isConnected) return this.#share.isOver
    if (this.#share.isOver) this.#waitForRoom()
    else if (mayPublish()) this.#flush()
    return true
  }

  #checkShare(): void {
    if (this.#isCheckingShare) return
    this.#isCheckingShare = true
    this.#checkShareAt = performance.now() + shareCheckMs
    this.#share
      .check()
      .catch(error => {
        this.#hub.connection.log.debug({ err: error, lane: this.#lane.key }, 'how full the lane is cannot be told')
      })
      .finally(() => {
        this.#isCheckingShare = false
        if (this.#share.isOver) return
        this.#schedule()
      })
  }

  #retryLater(batch: InFlight<T>): void {
    batch.retryAt = performance.now() + Math.min(maxRetryMs, firstRetryMs * 2 ** Math.min(batch.sends - 1, 10))
  }

  #settle(items: readonly Queued<T>[]): void {
    this.#settled += items.length
    this.#hub.count(-bytesOf(items))
    // What is refused overtakes what was published before it.
    const oldest = (this.#inFlight?.queued[0] ?? this.#queue[this.#head])?.number ?? Number.POSITIVE_INFINITY
    while (this.#waiters[0] && this.#waiters[0].until < oldest) this.#waiters.shift()?.resolve()
    if (this.#wasCongested && this.backlog.bytes < highWaterBytes / 2) {
      this.#wasCongested = false
      this.#relief.emit()
    }
  }
}

const bytesOf = (items: readonly { readonly bytes: number }[]): number =>
  items.reduce((sum, { bytes }) => sum + bytes, 0)
