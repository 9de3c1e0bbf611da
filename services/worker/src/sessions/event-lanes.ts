import { type Bus, eventLane, ItemTooLargeError, LaneFullError, type LanePublisher, partitionOf } from '@spectrum/bus'
import { type Event, eventCodec } from '@spectrum/messages'
import type { Logger } from '@spectrum/network'

/** Something that can stop reading from its network for a while. */
export interface Pausable {
  pause(): void
  resume(): void
}

export interface EventLanesOptions {
  readonly bus: Bus
  readonly instance: string
  readonly partitions: number
  readonly log: Logger
  /** How much may be held in all while the bus takes nothing. Default 64 MiB. */
  readonly maxHeldBytes?: number
  /** Counts an event that cannot be told: nothing is held any more, or no message of the bus can carry it. */
  readonly onDropped: (event: Event, reason: 'backlog-full' | 'too-large') => void
}

/** The event lanes of an instance as a worker publishes to them. */
export class EventLanes {
  readonly #options: EventLanesOptions
  readonly #lanes = new Map<number, EventLane>()
  readonly #held = { bytes: 0 }

  constructor(options: EventLanesOptions) {
    this.#options = options
  }

  get heldBytes(): number {
    return this.#held.bytes
  }

  laneOf(user: string): EventLane {
    const { bus, instance, partitions } = this.#options
    const partition = partitionOf(user, partitions)
    let lane = this.#lanes.get(partition)
    if (lane === undefined) {
      lane = new EventLane(bus.publisher(eventLane(instance, partition), eventCodec), this.#options, this.#held)
      this.#lanes.set(partition, lane)
    }
    return lane
  }
}

/**
 * One event lane with back-pressure: while its publisher is congested, the sessions that publish to it stop reading from
 * their networks. What they emit all the same is held, in all lanes up to `maxHeldBytes`; beyond, it is dropped and counted.
 */
export class EventLane {
  readonly #publisher: LanePublisher<Event>
  readonly #options: EventLanesOptions
  readonly #total: { bytes: number }
  readonly #sources = new Set<Pausable>()
  #held: Event[] = []
  #isPaused = false
  #drained: PromiseWithResolvers<void> | undefined

  constructor(publisher: LanePublisher<Event>, options: EventLanesOptions, total: { bytes: number }) {
    this.#publisher = publisher
    this.#options = options
    this.#total = total
    publisher.onRelief(() => this.#relieved())
  }

  publish(event: Event): void {
    if (this.#held.length > 0) return this.#hold(event)
    try {
      this.#publisher.publish(event)
    } catch (error) {
      if (error instanceof ItemTooLargeError) return this.#options.onDropped(event, 'too-large')
      if (!(error instanceof LaneFullError)) throw error
      this.#hold(event)
    }
    if (!this.#isPaused && this.#publisher.isCongested) this.#pause()
  }

  /** Fulfils once all that was published so far is durable. */
  async durable(): Promise<void> {
    if (this.#held.length > 0) {
      this.#drained ??= Promise.withResolvers()
      await this.#drained.promise
    }
    await this.#publisher.durable()
  }

  attach(source: Pausable): void {
    this.#sources.add(source)
    if (this.#isPaused) source.pause()
  }

  detach(source: Pausable): void {
    this.#sources.delete(source)
  }

  #hold(event: Event): void {
    const bytes = eventCodec.sizeOf(event)
    if (this.#total.bytes + bytes > (this.#options.maxHeldBytes ?? 64 * 1024 * 1024)) {
      this.#options.onDropped(event, 'backlog-full')
      return
    }
    this.#total.bytes += bytes
    this.#held.push(event)
  }

  #pause(): void {
    this.#isPaused = true
    for (const source of this.#sources) source.pause()
  }

  #publishHeld(event: Event): void {
    try {
      this.#publisher.publish(event)
    } catch (error) {
      if (!(error instanceof ItemTooLargeError)) throw error
      this.#options.onDropped(event, 'too-large')
    }
  }

  #relieved(): void {
    let sent = 0
    try {
      for (const event of this.#held) {
        this.#publishHeld(event)
        this.#total.bytes -= eventCodec.sizeOf(event)
        sent++
      }
    } catch (error) {
      if (!(error instanceof LaneFullError)) throw error
    }
    if (sent > 0) this.#held = this.#held.slice(sent)
    if (this.#held.length > 0) return
    this.#drained?.resolve()
    this.#drained = undefined
    if (!this.#isPaused || this.#publisher.isCongested) return
    this.#isPaused = false
    for (const source of this.#sources) source.resume()
  }
}
