import { setTimeout as delay } from 'node:timers/promises'
import { type Msg, nuid, type Subscription } from '@nats-io/transport-node'
import { type Connection, errCodes, JetStreamError } from './connection.ts'
import type { ServiceName } from './options.ts'
import { inboxPrefix, jetStreamApi } from './subjects.ts'

/** A message of a stream, in the order of the stream. */
export interface StreamMessage {
  readonly sequence: number
  readonly subject: string
  readonly data: Uint8Array
  readonly message: Msg
}

export interface ReaderOptions {
  stream: string
  filter: string
  /** The first sequence to read, or each subject's last message first. */
  start: number | 'last-per-subject'
  /** When the stream was made that `start` is of, see {@link Readers.createdOf}. Default: whichever is there. */
  created?: string | undefined
  heartbeatMs: number
  /** False leaves the message unread and pauses the reader; {@link Reader.resume} reads it again. */
  onMessage(message: StreamMessage): boolean
  /** All that was in the stream at the start has been read. */
  onCaughtUp?(): void
  /** The stream was made anew, at that time. Reading goes on at its first message. */
  onReset?(created: string | undefined): void
  /** The stream does not exist; fulfils when it is there again. */
  onStreamMissing?(): Promise<void>
}

interface ConsumerInfo {
  num_pending: number
  delivered: { stream_seq: number }
}

interface StreamInfo {
  created: string
}

const nanosPerMs = 1e6
const inactiveThresholdMs = 30_000
const createTimeoutMs = 1000
/** Twice as long after each try in vain: where server or process is overloaded, asking again and again makes it worse. */
const longestCreateTimeoutMs = 4_000
/** So many heartbeats may be missed (and a fifth) before silence counts. */
const heartbeatsToSilence = 2.2
const serverLostSpreadMs = 50
const maxOpening = 16

/** All readers of a process: reopens them on silence, reconnect and lost servers, a few at a time. */
export class Readers {
  readonly connection: Connection
  readonly service: ServiceName
  readonly #readers = new Set<Reader>()
  readonly #waiting: (() => void)[] = []
  readonly #created = new Map<string, Promise<string>>()
  readonly #subscriptions: Disposable[]
  readonly #timer: NodeJS.Timeout
  #opening = 0

  constructor(connection: Connection, service: ServiceName) {
    this.connection = connection
    this.service = service
    this.#timer = setInterval(() => this.#reopenSilent(), 500)
    this.#timer.unref()
    this.#subscriptions = [
      connection.connected.add(isConnected => {
        // The server that came back may be an empty one.
        this.#created.clear()
        if (isConnected) for (const reader of this.#readers) reader.reopen('reconnect')
      }),
      connection.serverLost.add(() => {
        for (const reader of this.#readers)
          setTimeout(() => reader.reopen('server-lost'), Math.random() * serverLostSpreadMs)
      }),
    ]
  }

  /** Reads a stream from now on; messages may come before this has returned to whoever called. Retries until the server delivers. */
  start(options: ReaderOptions): Reader {
    const reader = new Reader(this, options)
    this.#readers.add(reader)
    return reader
  }

  /** As {@link start}; fulfils when the server delivers. */
  async open(options: ReaderOptions): Promise<Reader> {
    const reader = this.start(options)
    await reader.opened
    return reader
  }

  remove(reader: Reader): void {
    this.#readers.delete(reader)
  }

  /** When the stream was made, which tells it from another one of its name. Asked once for each connection to the servers. */
  createdOf(stream: string): Promise<string> {
    const known = this.#created.get(stream)
    if (known !== undefined) return known
    const asked = this.connection
      .api<StreamInfo>(jetStreamApi.streamInfo(stream), undefined, createTimeoutMs)
      .then(({ created }) => created)
    this.#created.set(stream, asked)
    asked.catch(() => this.forgetCreated(stream, asked))
    return asked
  }

  /** The stream is gone, or was not heard of. */
  forgetCreated(stream: string, asked = this.#created.get(stream)): void {
    if (this.#created.get(stream) === asked) this.#created.delete(stream)
  }

  /** Runs an opening when fewer than 16 others run: thousands of readers reopen at once after a reconnect. */
  async limited<T>(open: () => Promise<T>): Promise<T> {
    if (this.#opening >= maxOpening) await new Promise<void>(resolve => this.#waiting.push(resolve))
    else this.#opening++
    try {
      return await open()
    } finally {
      const next = this.#waiting.shift()
      if (next) next()
      else this.#opening--
    }
  }

  close(): void {
    clearInterval(this.#timer)
    for (const subscription of this.#subscriptions) subscription[Symbol.dispose]()
    for (const reader of this.#readers) reader.close()
  }

  #reopenSilent(): void {
    if (!this.connection.isConnected) return
    const now = performance.now()
    for (const reader of this.#readers) if (reader.isSilent(now)) reader.reopen('silence')
  }
}

/**
 * Reads a stream in order through an ephemeral push consumer, which it makes anew at its position on any gap. The
 * library's ordered consumer waits for a dead server to come back before it recovers.
 */
export class Reader {
  /** Fulfils with the first consumer made. */
  readonly opened: Promise<void>
  readonly #readers: Readers
  readonly #options: ReaderOptions
  readonly #inbox: string
  #state: 'reading' | 'paused' | 'closed' = 'reading'
  #position = 0
  /** When the stream that is read was made. */
  #created: string | undefined
  #hasPosition = false
  #consumerSequence = 0
  #generation = 0
  #consumer: string | undefined
  #subscription: Subscription | undefined
  #lastHeard = performance.now()
  #isCaughtUp = false
  #isReopenWanted = false
  #isOpening = false
  #resolveOpened: () => void = () => {}

  constructor(readers: Readers, options: ReaderOptions) {
    this.#readers = readers
    this.#options = options
    this.#inbox = `${inboxPrefix(readers.service)}.read.${nuid.next()}`
    this.#created = options.created
    if (options.start !== 'last-per-subject') {
      this.#position = options.start - 1
      this.#hasPosition = true
    }
    this.opened = new Promise(resolve => {
      this.#resolveOpened = resolve
    })
    this.#run()
  }

  /** Whether the stream is still the one that is read, as its server says. Rejects when none answers. */
  async isSameStream(): Promise<boolean> {
    return (await this.#readers.createdOf(this.#options.stream)) === this.#created
  }

  isSilent(now: number): boolean {
    if (this.#state !== 'reading' || this.#isOpening) return false
    return now - this.#lastHeard > this.#options.heartbeatMs * heartbeatsToSilence
  }

  /** Goes on behind the last message read, through a new consumer. */
  reopen(reason: string): void {
    if (this.#state !== 'reading') return
    this.#readers.connection.count('bus_reader_reopened', { reason })
    this.#run()
  }

  /** Deletes the consumer; the position stays. */
  pause(): void {
    if (this.#state !== 'reading') return
    this.#state = 'paused'
    this.#drop()
  }

  resume(): void {
    if (this.#state !== 'paused') return
    this.#state = 'reading'
    this.#run()
  }

  close(): void {
    if (this.#state === 'closed') return
    this.#state = 'closed'
    this.#drop()
    this.#readers.remove(this)
    this.#resolveOpened()
  }

  #run(): void {
    this.#isReopenWanted = true
    if (this.#isOpening) return
    this.#isOpening = true
    this.#openUntilDone()
      .catch(error => this.#readers.connection.log.error({ err: error }, 'a reader failed to reopen'))
      .finally(() => {
        this.#isOpening = false
        // A resume between the last look and here must not be lost.
        if (this.#isReopenWanted && this.#state === 'reading') this.#run()
      })
  }

  async #openUntilDone(): Promise<void> {
    for (let attempt = 0; this.#isReopenWanted && this.#state === 'reading'; attempt++) {
      this.#isReopenWanted = false
      try {
        await this.#readers.limited(() => this.#open(Math.min(longestCreateTimeoutMs, createTimeoutMs * 2 ** attempt)))
        this.#resolveOpened()
      } catch (error) {
        this.#isReopenWanted = true
        await this.#recover(error, attempt)
      }
    }
  }

  async #recover(error: unknown, attempt: number): Promise<void> {
    const { connection } = this.#readers
    connection.count('bus_reader_open_failed', {})
    if (attempt % 30 === 3)
      connection.log.warn({ err: error, stream: this.#options.stream }, 'a stream cannot be read yet, trying on')
    if (error instanceof JetStreamError && error.errCode === errCodes.streamNotFound) {
      this.#readers.forgetCreated(this.#options.stream)
      await this.#options.onStreamMissing?.()
    }
    await delay(Math.min(1000, 50 * (attempt + 1)))
  }

  async #open(timeoutMs: number): Promise<void> {
    if (this.#state !== 'reading') return
    const { connection } = this.#readers
    const { stream, filter } = this.#options
    await connection.whenConnected(createTimeoutMs)
    const created = await this.#readers.createdOf(stream)
    const isAnother = this.#created !== undefined && this.#created !== created
    this.#created = created
    if (isAnother) return this.#reset()
    if (this.#state !== 'reading') return
    this.#drop()
    const generation = this.#generation
    this.#consumerSequence = 0
    this.#lastHeard = performance.now()
    const inbox = `${this.#inbox}.${generation}`
    this.#subscription = connection.nc.subscribe(inbox, {
      callback: (error, message) => {
        if (error) connection.log.error({ err: error, stream }, 'a reader may not subscribe')
        else if (generation === this.#generation) this.#receive(inbox, message)
      },
    })
    const consumer = `read_${nuid.next()}`
    const start = this.#position
    this.#consumer = consumer
    const info = await connection.api<ConsumerInfo>(
      jetStreamApi.consumerCreate(stream, consumer, filter),
      { stream_name: stream, config: this.#config(consumer, inbox) },
      timeoutMs,
    )
    if (generation === this.#generation) this.#onCreated(info, start)
  }

  #config(consumer: string, inbox: string): object {
    return {
      name: consumer,
      filter_subject: this.#options.filter,
      deliver_subject: inbox,
      ack_policy: 'none',
      max_deliver: 1,
      mem_storage: true,
      num_replicas: 1,
      idle_heartbeat: this.#options.heartbeatMs * nanosPerMs,
      flow_control: true,
      inactive_threshold: inactiveThresholdMs * nanosPerMs,
      ...(this.#hasPosition
        ? { deliver_policy: 'by_start_sequence', opt_start_seq: this.#position + 1 }
        : { deliver_policy: 'last_per_subject' }),
    }
  }

  #onCreated(info: ConsumerInfo, start: number): void {
    // A start behind the stream's end is moved to the end by the server: the stream is not the one we were reading.
    if (this.#hasPosition && info.delivered.stream_seq < start) this.#reset()
    else if (info.num_pending === 0) this.#caughtUp()
  }

  #reset(): void {
    const { connection } = this.#readers
    connection.count('bus_stream_reset', {})
    const { stream } = this.#options
    connection.log.warn(
      { stream },
      'this stream ends before what was read of it: NATS has lost its data, or the last of it; it is read from its start',
    )
    this.#position = 0
    this.#hasPosition = this.#options.start !== 'last-per-subject'
    this.#options.onReset?.(this.#created)
    this.reopen('stream-reset')
  }

  #receive(inbox: string, message: Msg): void {
    this.#lastHeard = performance.now()
    if (message.headers?.code) return this.#receiveStatus(message)
    if (message.subject === inbox && !message.reply) return
    // $JS.ACK.<stream>.<consumer>.<deliveries>.<stream sequence>.<consumer sequence>.<time>.<pending>
    const reply = message.reply?.split('.') ?? []
    const sequence = Number(reply[5])
    const consumerSequence = Number(reply[6])
    if (consumerSequence !== this.#consumerSequence + 1) return this.reopen('gap')
    this.#consumerSequence = consumerSequence
    if (sequence <= this.#position) return this.#reset()
    if (!this.#options.onMessage({ sequence, subject: message.subject, data: message.data, message }))
      return this.pause()
    this.#position = sequence
    this.#hasPosition = true
    if (reply[8] === '0') this.#caughtUp()
  }

  #receiveStatus({ headers, reply }: Msg): void {
    const { nc } = this.#readers.connection
    if (headers?.code !== 100) return this.reopen('status')
    if (reply) return nc.publish(reply) // flow control
    const stalled = headers.get('Nats-Consumer-Stalled')
    if (stalled) nc.publish(stalled)
    // The server has sent more than arrived: the tail was lost on the way.
    if (Number(headers.get('Nats-Last-Consumer') || 0) > this.#consumerSequence) this.reopen('tail')
  }

  #caughtUp(): void {
    if (this.#isCaughtUp) return
    this.#isCaughtUp = true
    this.#options.onCaughtUp?.()
  }

  /** Forgets the consumer; what it still sends is of an older generation and is not looked at. */
  #drop(): void {
    this.#generation++
    this.#subscription?.unsubscribe()
    this.#subscription = undefined
    const consumer = this.#consumer
    this.#consumer = undefined
    const { connection } = this.#readers
    if (consumer === undefined || !connection.isConnected || connection.nc.isClosed()) return
    // Nobody waits for it: one that is not deleted vanishes by its inactive threshold.
    connection
      .api(jetStreamApi.consumerDelete(this.#options.stream, consumer), undefined)
      .catch(error => connection.log.debug({ err: error }, 'a reader was not deleted; it expires by itself'))
  }
}
