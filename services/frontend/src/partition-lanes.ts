import { setTimeout as delay } from 'node:timers/promises'
import { type Bus, eventLane, type LaneConsumer, type Ownership } from '@spectrum/bus'
import { eventCodec } from '@spectrum/messages'
import type { Logger } from '@spectrum/network'
import type { EventFeed } from './event-feed.ts'
import { releaseAll } from './link.ts'

export interface PartitionLanesOptions {
  readonly bus: Bus
  readonly instance: string
  readonly feed: EventFeed
  readonly log: Logger
  /** A lane is lost though nobody here let go of it. */
  onLost(partition: number, reason: string): void
}

/** How long the XMPP server may take to confirm what was written before a lane changes hands. */
const drainMs = 7_000
/** How long the bus may take to record that. */
const recordMs = 2_000

interface Open {
  readonly ownership: Ownership
  readonly consumer: LaneConsumer
}

/** The event partitions that this process owns, and reads into its feed. */
export class PartitionLanes {
  readonly #options: PartitionLanesOptions
  readonly #open = new Map<number, Open>()

  constructor(options: PartitionLanesOptions) {
    this.#options = options
  }

  get count(): number {
    return this.#open.size
  }

  get partitions(): readonly number[] {
    return [...this.#open.keys()]
  }

  /** Reads the lane of a partition that is owned. Rejects when it cannot be opened; the ownership is given back then. */
  async take(partition: number, ownership: Ownership, mayAct = () => ownership.mayAct()): Promise<void> {
    const { bus, instance, feed, log, onLost } = this.#options
    const lost = (reason: string) => {
      if (!this.#open.delete(partition)) return
      onLost(partition, reason)
    }
    try {
      const consumer = await feed.open({ mayAct, onLost: lost }, handler =>
        bus.consume(eventLane(instance, partition), eventCodec, ownership, handler),
      )
      this.#open.set(partition, { ownership, consumer })
    } catch (error) {
      await releaseAll([ownership], log)
      throw error
    }
  }

  /**
   * Reads and writes no more; where `isConfirming`, waits until what was written is confirmed and that is recorded. What was not
   * written stays for the next owner. Lanes stay owned.
   */
  async drain(partitions: readonly number[], isConfirming: boolean): Promise<void> {
    const { feed, log } = this.#options
    const consumers = partitions.flatMap(partition => this.#open.get(partition)?.consumer ?? [])
    for (const consumer of consumers) consumer.pause()
    const settled = await Promise.all(consumers.map(consumer => feed.settle(consumer, isConfirming ? drainMs : 0)))
    const late = settled.filter(isSettled => !isSettled).length
    if (late > 0)
      log.info({ lanes: late }, 'events that the XMPP server has not confirmed are told again by the next frontend')
    if (!isConfirming) return
    const recorded = Promise.all(consumers.map(consumer => consumer.committed()))
    await Promise.race([recorded, delay(recordMs, undefined, { ref: false })])
  }

  /** Gives partitions back. Nothing of theirs is written from here on. */
  async release(partitions: readonly number[]): Promise<void> {
    const owned: Ownership[] = []
    for (const partition of partitions) {
      const open = this.#open.get(partition)
      if (open === undefined) continue
      this.#open.delete(partition)
      this.#options.feed.remove(open.consumer)
      owned.push(open.ownership)
    }
    await releaseAll(owned, this.#options.log)
  }
}
