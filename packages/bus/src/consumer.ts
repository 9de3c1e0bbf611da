import type { LaneCodec } from '@spectrum/messages'
import { NetworkError } from '@spectrum/network'
import { batchIdHeader, parseBatchId } from './batch-id.ts'
import type { Bucket } from './bucket.ts'
import type { Connection } from './connection.ts'
import {
  type CrashRecord,
  Cursor,
  type CursorRecord,
  emptyCursor,
  type OpenBatch,
  positionsPerMessage,
  type UserProgress,
} from './cursor.ts'
import type { DeadLetters } from './dead-letters.ts'
import { LaneDelivery } from './lane-delivery.ts'
import { LanePurge } from './lane-purge.ts'
import type { LaneConsumer, LaneHandler } from './lanes.ts'
import { guarded } from './listeners.ts'
import type { ServiceName, Timings } from './options.ts'
import type { Ownership } from './ownership.ts'
import type { Pacer } from './pacer.ts'
import type { Reader, Readers, StreamMessage } from './reader.ts'
import type { Streams } from './streams.ts'
import { type Lane, laneFilter } from './subjects.ts'
import { ConflictError } from './table.ts'
import { takeOver } from './take-over.ts'
import type { Ticker, Ticking } from './ticker.ts'
import { Trial } from './trial.ts'
import type { TrialRoom } from './trial-room.ts'

const commitItems = 64
const commitTimeoutMs = 1000
// While one slow user holds low back, the record grows with the others: a large one is written less often.
const manyUsers = 500
const maxCommitGapMs = 500
/** An owner whose cursor is unanswered for so long … */
const holdBackAfterMs = 1000
/** … finishes at most so many more items. */
const holdBackItems = 200
// The handler's own bounds come first; these keep the process alive when it has none.
const maxUnfinishedItems = 20_000
const maxUnfinishedBytes = 64 * 2 ** 20

/** What a consumer needs of its process. */
export interface ConsumerContext {
  connection: Connection
  readers: Readers
  streams: Streams
  cursors: Bucket<CursorRecord>
  ticker: Ticker
  dead: DeadLetters
  /** Purges stop a stream for milliseconds: thousands of busy lanes must take turns. */
  purges: Pacer
  process: string
  timings: Timings
  trials: TrialRoom
}

/** Reads one lane as its owner, and keeps its cursor. */
export class CursorConsumer<T> implements LaneConsumer, Ticking {
  readonly #context: ConsumerContext
  readonly #lane: Lane
  readonly #codec: LaneCodec<T>
  readonly #ownership: Ownership
  readonly #handler: LaneHandler<T>
  #cursor: Cursor
  /** When the stream was made that the cursor is about. */
  #stream: string | undefined
  #revision: number
  #reader: Reader | undefined
  #ownershipListener: Disposable | undefined
  #state: 'open' | 'draining' | 'closed' = 'open'
  /** Why nothing is read now, beside the caller's own wish. */
  #held: 'lease' | 'unfinished' | undefined
  #isPaused = false
  #isDirty = false
  #isCommitting = false
  #finishedSinceCommit = 0
  #lastCommitAt = 0
  #commitGapMs = 0
  #unansweredSince: number | undefined
  #finishedUnanswered = 0
  #committedLow: number
  readonly #purge: LanePurge
  #waiters: (() => void)[] = []
  #crashes: CrashRecord | undefined
  #trial: Trial<LaneDelivery<T>> | undefined
  /** Turns to act since the cursor was last known to be written, and when the first of them was taken. */
  #turns = 0
  #firstTurnAt = 0

  private constructor(
    context: ConsumerContext,
    lane: Lane,
    codec: LaneCodec<T>,
    ownership: Ownership,
    handler: LaneHandler<T>,
    taken: { record: CursorRecord; revision: number },
  ) {
    this.#context = context
    this.#lane = lane
    this.#codec = codec
    this.#ownership = ownership
    this.#handler = handler
    this.#cursor = new Cursor(taken.record)
    this.#stream = taken.record.stream
    this.#revision = taken.revision
    this.#committedLow = taken.record.low
    const { connection, purges, timings } = context
    this.#purge = new LanePurge(connection, lane, purges, {
      everyMs: timings.purgeMs,
      low: taken.record.low,
      isSameStream: async () => (await this.#reader?.isSameStream()) === true,
    })
    this.#crashes = taken.record.crashes
    if (Trial.isDue(this.#crashes)) this.#trial = this.#beginTrial(this.#crashes)
  }

  /** Raises the cursor's epoch to the ownership's, then reads on from the first unfinished item. */
  static async open<T>(
    context: ConsumerContext,
    lane: Lane,
    codec: LaneCodec<T>,
    ownership: Ownership,
    handler: LaneHandler<T>,
  ): Promise<CursorConsumer<T>> {
    const taken = await takeOver(context, lane, ownership)
    const consumer = new CursorConsumer(context, lane, codec, ownership, handler, taken)
    consumer.#ownershipListener = ownership.onLost(reason => consumer.#close(reason))
    // Known at once: what comes first may have to pause it, and resume it later.
    consumer.#reader = context.readers.start({
      stream: lane.stream,
      filter: laneFilter(lane),
      start: taken.record.low,
      created: taken.record.stream,
      heartbeatMs: context.timings.readerHeartbeatMs,
      onMessage: message => consumer.#receive(message),
      onReset: created => consumer.#startAnew(created),
      onStreamMissing: () => {
        context.streams.forget(lane.stream)
        return context.streams.ensureLane(lane)
      },
    })
    if (consumer.#state === 'closed') consumer.#reader.close()
    await consumer.#reader.opened
    return consumer
  }

  get unfinished(): number {
    return this.#cursor.unfinished
  }

  get mayAct(): boolean {
    if (this.#state === 'closed' || !this.#ownership.mayAct()) return false
    return !this.#isUnanswered(performance.now()) || this.#finishedUnanswered < holdBackItems
  }

  takeTurn(): boolean {
    if (this.#state === 'closed' || !this.#ownership.mayAct()) return false
    const now = performance.now()
    if (this.#turns === 0) this.#firstTurnAt = now
    const isOld = now - this.#firstTurnAt > holdBackAfterMs
    // Where nothing is finished for long nothing would be written either: the answer is what tells that we are not cut off.
    if (now - this.#firstTurnAt > holdBackAfterMs / 2) this.#touch()
    if (isOld && this.#turns >= holdBackItems) return false
    this.#turns++
    return true
  }

  pause(): void {
    this.#isPaused = true
    this.#reader?.pause()
  }

  resume(): void {
    this.#isPaused = false
    this.#read()
  }

  async drain(deadlineMs: number): Promise<void> {
    if (this.#state === 'open') this.#state = 'draining'
    this.#reader?.pause()
    const deadline = performance.now() + deadlineMs
    while (this.#state !== 'closed' && (this.#cursor.unfinished > 0 || this.#isDirty || this.#isCommitting)) {
      if (performance.now() >= deadline) throw new Error(`lane ${this.#lane.key}: ${this.unfinished} items unfinished`)
      await new Promise(resolve => setTimeout(resolve, 5))
      if (this.#isDirty && !this.#isCommitting) this.#commit()
    }
    this.#close(undefined)
  }

  async committed(): Promise<void> {
    while (this.#state !== 'closed' && (this.#isDirty || this.#isCommitting)) {
      const written = new Promise<void>(resolve => this.#waiters.push(resolve))
      this.#commit()
      await written
    }
  }

  tick(now: number): boolean {
    if (this.#state === 'closed') return false
    if (this.#held) this.#read()
    if (this.#isDirty && now - this.#lastCommitAt >= this.#context.timings.commitMs * 0.9) this.#commit()
    const isUnpurged = this.#purge.tick(now, this.#committedLow)
    return this.#isDirty || this.#isCommitting || this.#held !== undefined || isUnpurged
  }

  /** One item is finished: called by its delivery. */
  finished(batch: OpenBatch, progress: UserProgress, position: number): void {
    // What is of a stream that was made anew since finishes nothing of the new one.
    if (this.#state === 'closed' || batch.cursor !== this.#cursor) return
    progress.finish(position)
    this.#cursor.finish(batch)
    this.#touch()
    if (this.#isUnanswered(performance.now())) this.#finishedUnanswered++
    // In a microtask: what the same batch still finishes goes into the same record.
    if (++this.#finishedSinceCommit === commitItems) queueMicrotask(() => this.#commit())
  }

  #isUnanswered(now: number): boolean {
    return this.#unansweredSince !== undefined && now - this.#unansweredSince > holdBackAfterMs
  }

  /** True when the message is dealt with, or on its way to be. */
  #receive(message: StreamMessage): boolean {
    if (this.#state !== 'open') return false
    // An owner past its lease may have a successor already: what comes now is left for whoever owns the lane then.
    if (!this.#ownership.mayAct()) return this.#hold('lease')
    if (this.#cursor.unfinished >= maxUnfinishedItems || this.#cursor.unfinishedBytes >= maxUnfinishedBytes)
      return this.#hold('unfinished')
    this.#purge.read(message.data.length)
    const id = parseBatchId(message.message.headers?.get(batchIdHeader) ?? '')
    if (id && !this.#isNew(id, message.sequence)) return true
    const items = this.#decode(message)
    if (items) this.#deliver(message, id, items)
    else this.#bury(this.#cursor.open(message.sequence, id, 1, 0), message.sequence, 'undecodable-batch', message.data)
    return true
  }

  #hold(why: 'lease' | 'unfinished'): false {
    this.#context.connection.count('bus_held_back', { reason: why })
    this.#held = why
    this.#context.ticker.add(this)
    return false
  }

  /** Reads again when nothing forbids it. */
  #read(): void {
    if (this.#state !== 'open' || this.#isPaused) return
    if (this.#held === 'lease' && !this.#ownership.mayAct()) return
    if (this.#held === 'unfinished' && this.#cursor.unfinished > maxUnfinishedItems / 2) return
    if (this.#held === 'unfinished' && this.#cursor.unfinishedBytes > maxUnfinishedBytes / 2) return
    this.#held = undefined
    this.#reader?.resume()
  }

  #isNew(id: { publisher: string; number: number }, sequence: number): boolean {
    const verdict = this.#cursor.judge(id.publisher, id.number)
    if (verdict === 'gap') this.#context.connection.count('bus_batch_gaps', {})
    if (verdict !== 'double') return true
    this.#context.connection.count('bus_dropped', { reason: 'doubled-batch' })
    this.#cursor.pass(sequence)
    this.#touch()
    return false
  }

  #decode({ data, sequence }: StreamMessage): T[] | undefined {
    try {
      const items = this.#codec.decode(data)
      // Nobody publishes an empty one: it is something else that happens to decode.
      if (items.length > 0 && items.length <= positionsPerMessage) return items
      this.#context.connection.log.error(
        { lane: this.#lane.key, sequence, items: items.length },
        'a batch has no items, or too many',
      )
    } catch (error) {
      this.#context.connection.log.error({ err: error, lane: this.#lane.key, sequence }, 'a batch cannot be decoded')
    }
    return undefined
  }

  #deliver(message: StreamMessage, id: { publisher: string; number: number } | undefined, items: T[]): void {
    const from = message.subject.slice(message.subject.lastIndexOf('.') + 1) as ServiceName
    const batch = this.#cursor.open(message.sequence, id, items.length, message.data.length)
    let skipped = 0
    for (const [ordinal, item] of items.entries()) {
      const position = message.sequence * positionsPerMessage + ordinal
      const progress = this.#cursor.progressOf(this.#codec.userOf(item))
      if (position <= progress.done) {
        skipped++
        this.#cursor.finish(batch)
        continue
      }
      progress.start(position)
      if (message.sequence <= (this.#crashes?.until ?? 0)) this.#context.connection.count('bus_redelivered', {})
      const delivery = new LaneDelivery(this, batch, progress, item, position, from)
      if (this.#trial) this.#trial.offer(delivery)
      else this.#hand(delivery)
    }
    if (skipped > 0 || items.length === 0) this.#touch()
    if (skipped < items.length) guarded(this.#context.connection.log, () => this.#handler.onBatchEnd?.())
  }

  #hand(delivery: LaneDelivery<T>): void {
    try {
      this.#handler.onItem(delivery)
    } catch (error) {
      const { lane, sequence } = { lane: this.#lane.key, sequence: Math.floor(delivery.position / positionsPerMessage) }
      this.#context.connection.log.error({ err: error, lane, sequence }, 'the handler of an item failed')
      const bury = async () => {
        const data = this.#codec.encode([delivery.item])
        await this.#context.dead.put({ lane, sequence, reason: 'handler-failed', data })
      }
      this.#afterBurial(bury(), () => delivery.finish())
    }
  }

  #beginTrial(crashes: CrashRecord): Trial<LaneDelivery<T>> {
    const { log } = this.#context.connection
    const { deaths, strikes } = crashes
    let hasTried = false
    return new Trial(
      crashes,
      {
        positionOf: ({ position }) => position,
        isFinished: delivery => delivery.isFinished,
        hand: delivery => {
          this.#hand(delivery)
          guarded(log, () => this.#handler.onBatchEnd?.())
        },
        bury: delivery => this.#buryPoison(delivery),
        stored: () => {
          if (!hasTried) {
            const facts = { lane: this.#lane.key, deaths, strikes }
            log.warn(facts, 'owners of a lane died again and again: its items are tried one by one')
          }
          hasTried = true
          this.#touch()
          return this.committed()
        },
        isOpen: () => this.#state === 'open',
        over: () => {
          if (hasTried) log.info({ lane: this.#lane.key }, 'what was unfinished at the deaths is through')
          hasTried = true
          this.#crashes = undefined
          this.#touch()
        },
        ended: () => {
          this.#trial = undefined
        },
      },
      this.#context.trials,
    )
  }

  /** Put aside before its sender is told and it is finished: whatever happens in between, it is not lost in silence. */
  #buryPoison(delivery: LaneDelivery<T>): void {
    const { item, position } = delivery
    const letter = {
      lane: this.#lane.key,
      sequence: Math.floor(position / positionsPerMessage),
      reason: 'poison',
      data: this.#codec.encode([item]),
      user: this.#codec.userOf(item),
    }
    this.#afterBurial(this.#context.dead.put(letter), () => {
      if (this.#handler.onPoison === undefined) return delivery.finish()
      guarded(this.#context.connection.log, () => this.#handler.onPoison?.(delivery))
    })
  }

  #bury(batch: OpenBatch, sequence: number, reason: string, data: Uint8Array): void {
    this.#afterBurial(this.#context.dead.put({ lane: this.#lane.key, sequence, reason, data }), () => {
      if (this.#state === 'closed' || batch.cursor !== this.#cursor) return
      this.#cursor.finish(batch)
      this.#touch()
    })
  }

  #afterBurial(burial: Promise<void>, then: () => void): void {
    const { log } = this.#context.connection
    burial.catch(error => log.error({ err: error, lane: this.#lane.key }, 'nothing could be put aside')).finally(then)
  }

  #touch(): void {
    if (this.#isDirty) return
    this.#isDirty = true
    this.#context.ticker.add(this)
  }

  #commit(): void {
    if (this.#isCommitting || !this.#isDirty || this.#state === 'closed') return
    const now = performance.now()
    if (now - this.#lastCommitAt < this.#commitGapMs) return
    this.#isCommitting = true
    this.#isDirty = false
    this.#finishedSinceCommit = 0
    this.#lastCommitAt = now
    this.#unansweredSince ??= this.#lastCommitAt
    this.#write()
      .catch(error => this.#onCommitFailed(error))
      .finally(() => {
        this.#isCommitting = false
        for (const resolve of this.#waiters.splice(0)) resolve()
        if (this.#isDirty) this.#context.ticker.add(this)
        if (this.#finishedSinceCommit >= commitItems) this.#commit()
      })
  }

  async #write(): Promise<void> {
    const { cursors, process, connection } = this.#context
    const now = Math.floor(Date.now() / 1000)
    const cursor = this.#cursor
    const { record, users, leftOut } = cursor.record(this.#ownership.epoch, process, now)
    if (this.#stream !== undefined) record.stream = this.#stream
    if (this.#crashes && !this.#trial && record.low > this.#crashes.until) this.#crashes = undefined
    if (this.#crashes) record.crashes = structuredClone(this.#crashes)
    const turns = this.#turns
    if (leftOut > 0) connection.count('bus_cursor_truncated', {}, leftOut)
    this.#revision = await cursors.update(this.#lane.key, record, this.#revision, commitTimeoutMs)
    // Made anew meanwhile, its stream has nothing to be purged up to the old low.
    if (cursor === this.#cursor) this.#committedLow = record.low
    this.#commitGapMs = users > manyUsers ? Math.min(maxCommitGapMs, users / 10) : 0
    this.#unansweredSince = undefined
    this.#finishedUnanswered = 0
    this.#turns -= turns
    this.#firstTurnAt = performance.now()
  }

  async #onCommitFailed(error: unknown): Promise<void> {
    this.#isDirty = true
    if (error instanceof ConflictError) return this.#onConflict()
    this.#context.connection.count('bus_commit_failures', {})
    if (!(error instanceof NetworkError))
      this.#context.connection.log.warn({ err: error, lane: this.#lane.key }, 'a cursor was not written, trying on')
  }

  /** Either our own earlier write arrived although its answer did not, or somebody else owns the lane. */
  async #onConflict(): Promise<void> {
    const { cursors, process, connection } = this.#context
    try {
      const entry = await cursors.get(this.#lane.key)
      if (entry && entry.value.epoch === this.#ownership.epoch && entry.value.owner === process) {
        this.#revision = entry.revision
        return
      }
      // A wiped server has no record at all: ours is then the first. It also counts revisions from one again, so that the write of
      // an earlier owner may have passed for one of ours.
      if (!entry || entry.value.epoch < this.#ownership.epoch) {
        this.#revision = entry?.revision ?? 0
        return
      }
      connection.count('bus_fenced', {})
      this.#ownership.lose(`the cursor of ${this.#lane.key} is at epoch ${entry.value.epoch}`)
    } catch (error) {
      connection.log.debug({ err: error, lane: this.#lane.key }, 'a cursor cannot be read, trying on')
    }
  }

  /** The stream was made anew: nothing of what the cursor says holds for it. */
  #startAnew(created: string | undefined): void {
    this.#cursor = new Cursor(emptyCursor)
    this.#stream = created
    // What it still holds is tried to its end; what comes now was in nobody's hands at those deaths.
    this.#trial = undefined
    this.#crashes = undefined
    this.#committedLow = 1
    this.#purge.reset()
    this.#touch()
  }

  #close(lost: string | undefined): void {
    if (this.#state === 'closed') return
    this.#state = 'closed'
    this.#ownershipListener?.[Symbol.dispose]()
    this.#reader?.close()
    for (const resolve of this.#waiters.splice(0)) resolve()
    if (lost !== undefined) guarded(this.#context.connection.log, () => this.#handler.onLost(lost))
  }
}
