import type { OpenBatch, UserProgress } from './cursor.ts'
import type { Delivery } from './lanes.ts'
import type { ServiceName } from './options.ts'

/** Who keeps the cursor of what is delivered. */
export interface Finisher {
  finished(batch: OpenBatch, progress: UserProgress, position: number): void
}

export class LaneDelivery<T> implements Delivery<T> {
  readonly item: T
  readonly position: number
  readonly from: ServiceName
  readonly #consumer: Finisher
  readonly #batch: OpenBatch
  readonly #progress: UserProgress
  isFinished = false

  constructor(
    consumer: Finisher,
    batch: OpenBatch,
    progress: UserProgress,
    item: T,
    position: number,
    from: ServiceName,
  ) {
    this.#consumer = consumer
    this.#batch = batch
    this.#progress = progress
    this.item = item
    this.position = position
    this.from = from
  }

  finish(): void {
    if (this.isFinished) return
    this.isFinished = true
    this.#consumer.finished(this.#batch, this.#progress, this.position)
  }
}
