import type { CursorRecord } from './cursor.ts'
import type { Table } from './table.ts'

/** In so many steps the share is filled: as many reads of the cursor at most while it is full. */
const blocksPerShare = 16

/**
 * How much this process may add to a lane while the lane's owner finishes nothing. The server bounds the messages of a lane
 * but not their bytes, so that one lane whose owner is away could fill the stream for all others.
 *
 * Costs nothing until a share has been published; then the lane's cursor is read, and what lies before it is forgotten.
 */
export class LaneShare {
  readonly #cursors: Table<CursorRecord>
  readonly #lane: string
  readonly #share: () => number
  /** What was published and not known to be finished, oldest first: up to which sequence, and how much. */
  #blocks: { until: number; bytes: number }[] = []
  #bytes = 0
  #lastSequence = 0
  #isOver = false

  /** @param share - bytes, asked each time: it depends on how many processes publish */
  constructor(cursors: Table<CursorRecord>, lane: string, share: () => number) {
    this.#cursors = cursors
    this.#lane = lane
    this.#share = share
  }

  /** Nothing more may be published until a {@link check} says otherwise. */
  get isOver(): boolean {
    return this.#isOver
  }

  /** Something was stored. True when the cursor should be looked at. */
  add(sequence: number, bytes: number): boolean {
    // The stream was made anew.
    if (sequence <= this.#lastSequence) this.reset()
    this.#lastSequence = sequence
    const last = this.#blocks.at(-1)
    const share = this.#share()
    const isNew = last === undefined || last.bytes + bytes > share / blocksPerShare
    if (isNew) this.#blocks.push({ until: sequence, bytes })
    else Object.assign(last, { until: sequence, bytes: last.bytes + bytes })
    this.#bytes += bytes
    return isNew && this.#bytes > share
  }

  /** After a reconnect the server may be an empty one, and what is known worth nothing. */
  reset(): void {
    this.#forget(Number.POSITIVE_INFINITY)
    this.#isOver = false
  }

  /** Reads how far the lane is finished. Rejects like {@link Table.get}, and changes nothing then. */
  async check(): Promise<void> {
    const found = await this.#cursors.get(this.#lane, { mayBeStale: true })
    if (found) this.#forget(found.value.low)
    this.#isOver = this.#bytes > this.#share()
  }

  #forget(low: number): void {
    const kept = this.#blocks.filter(({ until }) => until >= low)
    this.#blocks = kept
    this.#bytes = kept.reduce((sum, { bytes }) => sum + bytes, 0)
  }
}
