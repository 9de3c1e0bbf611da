import {
  type Bus,
  componentResource,
  eventLane,
  type LaneConsumer,
  type Ownership,
  partitionResource,
} from '@spectrum/bus'
import { eventCodec } from '@spectrum/messages'
import type { Logger } from '@spectrum/network'
import type { Component } from '@spectrum/xmpp'
import type { EventFeed } from './event-feed.ts'

export interface ComponentLinkOptions {
  readonly bus: Bus
  readonly instance: string
  readonly partitions: number
  readonly log: Logger
  /** Makes the component and the feed that writes to it, for one time of being active. Not started. */
  open(mayAct: () => boolean): { readonly component: Component; readonly feed: EventFeed }
  onActive(isActive: boolean): void
}

/** How often a free or dead owner's resource is looked for when nothing tells of it. */
const retryMs = 1_000

/**
 * Who speaks to the XMPP server: servers such as Prosody accept one connection per domain, so one frontend owns the
 * component and all event partitions, and the others stand by to take over.
 */
export class ComponentLink {
  readonly #options: ComponentLinkOptions
  readonly #stopping = new AbortController()
  #component: Component | undefined
  #running: Promise<void> | undefined
  readonly #sleepers = new Set<() => void>()
  #subscriptions: Disposable[] = []

  constructor(options: ComponentLinkOptions) {
    this.#options = options
  }

  /** The live component while this process is active. */
  get component(): Component | undefined {
    return this.#component
  }

  async start(): Promise<void> {
    const { bus, instance } = this.#options
    const wake = () => this.#wake()
    const wanted = componentResource(instance)
    const allComponents = wanted.slice(0, wanted.lastIndexOf('.') + 1)
    this.#subscriptions = [
      bus.owners.onDeath(wake),
      await bus.owners.watch(allComponents, (resource, owner) => {
        if (resource === wanted && owner === undefined) wake()
      }),
    ]
    this.#running = this.#run()
  }

  /** Hands over: what was written is confirmed, what was read is no longer ours to wait for. */
  async stop(): Promise<void> {
    this.#stopping.abort()
    this.#wake()
    for (const subscription of this.#subscriptions) subscription[Symbol.dispose]()
    await this.#running
  }

  async #run(): Promise<void> {
    const { log } = this.#options
    while (!this.#stopping.signal.aborted) {
      try {
        const ownership = await this.#acquire(componentResource(this.#options.instance))
        if (ownership !== undefined) await this.#serve(ownership)
      } catch (error) {
        log.warn({ err: error }, 'the component could not be taken over; trying again')
        await this.#pause(retryMs)
      }
    }
  }

  /** Waits until the resource is ours; `undefined` when stopping, or when `given` up meanwhile. */
  async #acquire(resource: string, given?: AbortSignal): Promise<Ownership | undefined> {
    const { bus, log } = this.#options
    let isTold = false
    while (!this.#stopping.signal.aborted && given?.aborted !== true) {
      const ownership = await bus.owners.acquire(resource).catch((error: unknown) => {
        if (!isTold) log.warn({ err: error, resource }, 'ownership cannot be asked for; trying again')
        isTold = true
        return undefined
      })
      if (ownership !== undefined) return ownership
      await this.#pause(retryMs)
    }
    return undefined
  }

  /** Sleeps, but not over news of owners. */
  async #pause(ms: number): Promise<void> {
    if (this.#stopping.signal.aborted) return
    const { promise, resolve } = Promise.withResolvers<void>()
    const timer = setTimeout(resolve, ms)
    this.#sleepers.add(resolve)
    await promise
    this.#sleepers.delete(resolve)
    clearTimeout(timer)
  }

  #wake(): void {
    for (const wake of this.#sleepers) wake()
  }

  async #serve(ownership: Ownership): Promise<void> {
    const { open, onActive, log } = this.#options
    const over = new AbortController()
    const { component, feed } = open(() => ownership.mayAct())
    const watch = ownership.onLost(reason => {
      log.warn({ reason }, 'another frontend has taken the component over')
      over.abort()
    })
    this.#stopping.signal.addEventListener('abort', () => over.abort(), { once: true })
    if (this.#stopping.signal.aborted) over.abort()
    onActive(true)
    this.#component = component
    component.start()
    const consumers = new Map<LaneConsumer, Ownership>()
    const taking = this.#takePartitions(feed, consumers, over)
    await new Promise<void>(resolve => {
      if (over.signal.aborted) resolve()
      else over.signal.addEventListener('abort', () => resolve(), { once: true })
    })
    await taking
    // Our own release is no loss.
    watch[Symbol.dispose]()
    await this.#close(component, feed, consumers, ownership)
    onActive(false)
  }

  async #takePartitions(
    feed: EventFeed,
    consumers: Map<LaneConsumer, Ownership>,
    over: AbortController,
  ): Promise<void> {
    const { partitions } = this.#options
    const take = (partition: number) => this.#takePartition(partition, feed, consumers, over)
    await Promise.all(Array.from({ length: partitions }, (_, partition) => take(partition)))
  }

  async #takePartition(
    partition: number,
    feed: EventFeed,
    consumers: Map<LaneConsumer, Ownership>,
    over: AbortController,
  ): Promise<void> {
    const { bus, instance, log } = this.#options
    while (!over.signal.aborted) {
      const ownership = await this.#acquire(partitionResource(instance, partition), over.signal)
      if (ownership === undefined) return
      try {
        const lost = feed.handler(reason => {
          if (!over.signal.aborted) log.warn({ partition, reason }, 'an event lane was lost')
          over.abort()
        })
        const consumer = await bus.consume(eventLane(instance, partition), eventCodec, ownership, lost)
        consumers.set(consumer, ownership)
        feed.add(consumer)
        return
      } catch (error) {
        log.warn({ err: error, partition }, 'an event lane could not be opened; trying again')
        await ownership
          .release()
          .catch((cause: unknown) => log.warn({ err: cause, partition }, 'a partition was not released'))
        await this.#pause(retryMs)
      }
    }
  }

  async #close(
    component: Component,
    feed: EventFeed,
    consumers: Map<LaneConsumer, Ownership>,
    ownership: Ownership,
  ): Promise<void> {
    const { log } = this.#options
    // Unfinished events stay in their lanes for the next owner, so that waiting for them may end.
    const drainMs = component.isOnline && ownership.mayAct() ? 3_000 : 0
    for (const consumer of consumers.keys()) consumer.pause()
    const drained = [...consumers.keys()].map(consumer => consumer.drain(drainMs))
    const late = (await Promise.allSettled(drained)).filter(({ status }) => status === 'rejected').length
    if (late > 0) log.info({ lanes: late }, 'unfinished events stay for the next frontend')
    feed.close()
    const unconfirmed = await component.stop(1_000)
    if (unconfirmed > 0) log.info({ unconfirmed }, 'stanzas were not confirmed at the end of the stream')
    this.#component = undefined
    // The component last: who takes it wants the partitions next.
    await this.#release([...consumers.values()])
    await this.#release([ownership])
  }

  async #release(owned: readonly Ownership[]): Promise<void> {
    for (const result of await Promise.allSettled(owned.map(ownership => ownership.release()))) {
      if (result.status === 'rejected') {
        this.#options.log.warn({ err: result.reason }, 'an ownership was not released')
      }
    }
  }
}
