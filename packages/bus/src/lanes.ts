import { NetworkError } from '@spectrum/network'
import type { ServiceName } from './options.ts'

/** Publishes to one lane from one process. Items leave in the order in which they were published. */
export interface LanePublisher<T> {
  /**
   * Queues the item; it leaves with the others of this turn of the event loop, one batch in flight. Never throws for a
   * lost connection.
   *
   * @param onRefused - called at most once, and later, when the server has no room for the item and it certainly was not
   * stored: it is forgotten then, and its sender may be told (`rate-limited`). Without it the item is held and tried on.
   * @throws LaneFullError above the hard bound of 8 MiB queued
   * @throws ItemTooLargeError when the item alone does not fit into one message of the server
   */
  publish(item: T, onRefused?: (error: NetworkError) => void): void
  /** Fulfils once all that was published so far is durable (PubAck), or refused to those who asked to be told. */
  durable(): Promise<void>
  /**
   * Gives up all that is not durable and whose publisher asked to be told: `onRefused` gets an {@link AbandonedError}, which
   * says whether the item may have been stored all the same. For a process that has to stop. Returns how many.
   */
  abandon(): number
  /** Queued and unacknowledged now. */
  readonly backlog: { items: number; bytes: number }
  /** True above the high-water mark (256 KiB): the caller should pause reading its source. */
  readonly isCongested: boolean
  /** Called each time the backlog falls below half of the mark after congestion. */
  onRelief(listener: () => void): Disposable
}

/** What a consumer does with the items of a lane. */
export interface LaneHandler<T> {
  /**
   * Items in order per user. Call `delivery.finish()` when done with it, any time later, also out of order between
   * users. Must not throw: an item whose handler throws goes to the dead stream.
   */
  onItem(delivery: Delivery<T>): void
  /**
   * Owners died on this item again and again, also when nothing else was in their hands: it was put aside and must not be
   * handled. Its sender should be told; then `delivery.finish()`. Without this method it is finished at once.
   */
  onPoison?(delivery: Delivery<T>): void
  /** After the last onItem of one batch, for combining writes. */
  onBatchEnd?(): void
  /** The lane is lost: a higher epoch exists, or the ownership ended. No more items come; finish() is ignored from now on. */
  onLost(reason: string): void
}

/** One item of a lane. */
export interface Delivery<T> {
  readonly item: T
  /** Stream sequence × 1024 + ordinal in the batch: grows along the lane, stable over redeliveries. */
  readonly position: number
  /** The service that published it, vouched for by the server's permissions. */
  readonly from: ServiceName
  finish(): void
}

/** Reads one lane as its owner. */
export interface LaneConsumer {
  /** Stops reading (deletes the reader); resume continues at the position. */
  pause(): void
  resume(): void
  /** Unfinished items now. */
  readonly unfinished: number
  /** False when the owner must hold back: its lease ran out, or its cursor was not written for 1 s and 200 items were finished since. */
  readonly mayAct: boolean
  /**
   * Asked before an item is handed to a network: false when the owner must hold back. Counts what it allows: of an owner whose
   * cursor was not written for 1 s at most 200 items more reach a network, finished or not.
   */
  takeTurn(): boolean
  /** Commits until all that was delivered is finished and recorded, then stops reading. Ownership stays. Rejects after the deadline. */
  drain(deadlineMs: number): Promise<void>
  /** Commits now and waits until it is written. */
  committed(): Promise<void>
}

/** More than the hard bound is queued for a lane: the sender is told `rate-limited`. */
export class LaneFullError extends NetworkError {
  override name = 'LaneFullError'
  constructor(lane: string) {
    super('rate-limited', 'Too much is waiting to be sent; try again later.', { cause: `lane ${lane} is full` })
  }
}

/** An item was given up before it was durable, as its process has to stop. `certain`: it never left this process. */
export class AbandonedError extends NetworkError {
  override name = 'AbandonedError'
  constructor(certain: boolean) {
    super(
      'unavailable',
      certain
        ? 'The gateway is being restarted and could not send this; try again later.'
        : 'The gateway is being restarted: this may or may not have been sent.',
      { certain },
    )
  }
}

/** An item that no message of the server can carry. */
export class ItemTooLargeError extends NetworkError {
  override name = 'ItemTooLargeError'
  constructor(bytes: number, maxBytes: number) {
    super('too-large', `This is too large to be carried: ${bytes} of at most ${maxBytes} bytes.`)
  }
}
