import { componentResource, type Ownership, partitionResource } from '@spectrum/bus'
import type { Component } from '@spectrum/xmpp'
import type { EventFeed } from './event-feed.ts'
import { type Link, type LinkOptions, type Origin, releaseAll } from './link.ts'
import { PartitionLanes } from './partition-lanes.ts'
import { WakefulPause } from './wakeful-pause.ts'
import { OwnersWay, StandbysWay } from './way-to-server.ts'

/** How often a free or dead owner's resource is looked for when nothing tells of it. */
const retryMs = 1_000
/** How long others leave the component to the frontend that was named. */
const courtesyMs = 5_000
/** How long the named one may take to connect, before the one that stops ends its stream by itself. */
const replacedMs = 3_000
/** How often it is looked whether the component is certain to be ours. */
const certaintyMs = 50
/** The named one ends its connection when the component did not become its own within this time. */
const patienceMs = 15_000
/** Whoever is given the component may take so long to be active, before it is told what is still to be answered. */
const activeMs = 3_000

/** What a standby says in its heartbeat. */
const standbyInfo = { link: 'standby' }
/** What the owner of the component says, with a stream and without. */
const activeInfo = { link: 'active' }
const strandedInfo = { link: 'stranded' }

interface Connection {
  readonly component: Component
  readonly feed: EventFeed
}

/** From getting the component until it is let go of. */
interface Tenure {
  readonly way: OwnersWay
  readonly over: AbortController
  /** Who reaches the server while this process does not. */
  heir?: string
}

/**
 * For servers that accept one connection for each domain, such as Prosody: one frontend owns the component and all event
 * partitions, and the others stand by to take over.
 */
export class SingleLink implements Link {
  readonly #options: LinkOptions
  readonly #stopping = new AbortController()
  readonly #pause = new WakefulPause()
  #connection: Connection | undefined
  #running: Promise<void> | undefined
  #subscriptions: Disposable[] = []
  #origin: Origin = 'fresh'
  #owned: Ownership | undefined
  /** Connected before the component is ours, as whoever has it asked for that. */
  #early: Connection | undefined
  #courtesyUntil = 0
  #tenure: Tenure | undefined
  readonly #way: StandbysWay
  /** Whoever has, or had, the component had no stream: clients may have gone unseen. */
  #wasStranded = false
  successor: string | undefined

  constructor(options: LinkOptions) {
    this.#options = options
    this.#way = new StandbysWay({ probe: () => options.probe() })
  }

  get component(): Component | undefined {
    return this.#connection?.component
  }

  get feed(): EventFeed | undefined {
    return this.#connection?.feed
  }

  get mayTake(): boolean {
    return this.#owned === undefined || this.#owned.mayAct()
  }

  tellerOf(): undefined {
    return undefined
  }

  async start(): Promise<void> {
    const { bus, instance } = this.#options
    const wanted = componentResource(instance)
    const allComponents = wanted.slice(0, wanted.lastIndexOf('.') + 1)
    this.#subscriptions = [
      bus.owners.onDeath(() => this.#pause.wake()),
      await bus.owners.watch(allComponents, (resource, owner, next) => {
        if (resource !== wanted || owner !== undefined) return
        if (next !== undefined) this.#onGivenWay(next)
        this.#pause.wake()
      }),
    ]
    bus.owners.setInfo(standbyInfo)
    this.#running = this.#run()
  }

  async stop(): Promise<void> {
    this.#stopping.abort()
    this.#pause.wake()
    for (const subscription of this.#subscriptions) subscription[Symbol.dispose]()
    await this.#running
    this.#way[Symbol.dispose]()
    await this.#endEarly()
  }

  pause(isPaused: boolean): void {
    if (isPaused) this.component?.pause()
    else this.component?.resume()
  }

  onJoining(): void {
    // Only where the server takes several connections.
  }

  onStreamOpened(): void {
    this.#tenure?.way.look()
  }

  onStreamLost(): void {
    // Nobody else has the component for that.
  }

  takes(): boolean {
    return false
  }

  onLeaving(): void {
    // Only where the server takes several connections.
  }

  onLeft(): void {
    // Only where the server takes several connections.
  }

  onRoom(): void {
    // Only where the server takes several connections.
  }

  onReaching(by: string): void {
    const tenure = this.#tenure
    if (tenure === undefined || tenure.over.signal.aborted || !this.#others(standbyInfo).includes(by)) return
    if (!tenure.way.offered()) return
    this.#options.log.warn(
      { successor: by },
      'another frontend reaches the XMPP server, and this one does not: it gives the component up',
    )
    tenure.heir = by
    tenure.over.abort()
  }

  onTakeOver(from: string, to: string): void {
    const { bus, log } = this.#options
    if (this.#connection !== undefined || this.#stopping.signal.aborted) return
    if (to !== bus.processId) {
      this.#courtesyUntil = performance.now() + courtesyMs
      return
    }
    if (this.#early !== undefined) return
    log.info({ from }, 'connecting to take over from a frontend that stops')
    this.#origin = 'handed-over'
    this.#early = this.#open()
    // What users say from now on waits until all that they said before is on its way.
    this.#early.component.pause()
    this.#early.component.start()
    const early = this.#early
    setTimeout(() => {
      if (this.#early === early) void this.#endEarly()
    }, patienceMs).unref()
    this.#pause.wake()
  }

  async #endEarly(): Promise<void> {
    const early = this.#early
    this.#early = undefined
    early?.feed.close()
    await early?.component.stop(0)
  }

  #open(): Connection {
    return this.#options.open(() => this.#origin)
  }

  async #run(): Promise<void> {
    const { log, bus, instance } = this.#options
    while (!this.#stopping.signal.aborted) {
      try {
        bus.owners.setInfo(standbyInfo)
        const ownership = await this.#acquire(componentResource(instance))
        if (ownership !== undefined) await this.#serve(ownership)
      } catch (error) {
        log.warn({ err: error }, 'the component could not be taken over; trying again')
        await this.#rest()
      }
    }
  }

  async #rest(): Promise<void> {
    if (!this.#stopping.signal.aborted) await this.#pause.for(retryMs)
  }

  /** Waits until the resource is ours; `undefined` when stopping, or when `given` up meanwhile. */
  async #acquire(resource: string, given?: AbortSignal): Promise<Ownership | undefined> {
    const { bus, log } = this.#options
    const isComponent = given === undefined
    const isOver = given === undefined ? this.#stopping.signal : AbortSignal.any([this.#stopping.signal, given])
    let isTold = false
    while (!isOver.aborted) {
      try {
        const before = isComponent ? await bus.owners.ownerOf(resource) : undefined
        if (isComponent) this.#lookAfter(before?.process)
        const isWaiting = isComponent && this.#early === undefined && performance.now() < this.#courtesyUntil
        const ownership = isWaiting ? undefined : await bus.owners.acquire(resource, isOver)
        if (isComponent && this.#early === undefined)
          this.#origin = before === undefined && !this.#wasStranded ? 'fresh' : 'after-death'
        if (ownership !== undefined) return ownership
      } catch (error) {
        if (!isTold) log.warn({ err: error, resource }, 'ownership cannot be asked for; trying again')
        isTold = true
      }
      await this.#rest()
    }
    return undefined
  }

  /** Whoever has the component may have no way to the server: it is told when this process has one. */
  #lookAfter(owner: string | undefined): void {
    const { bus, peers } = this.#options
    const { link } = bus.owners.processes('frontend').find(({ process }) => process === owner)?.info ?? {}
    if (link === activeInfo.link) this.#wasStranded = false
    if (link !== strandedInfo.link || owner === undefined) return this.#way[Symbol.dispose]()
    this.#wasStranded = true
    const isReaching = this.#way.look()
    if (isReaching) peers.tellReaching(owner)
    // Should it let go, whoever reaches the server goes first.
    this.#courtesyUntil = isReaching ? 0 : performance.now() + courtesyMs
  }

  /** The last owner reached the server no more, and left the component to `next`. */
  #onGivenWay(next: string): void {
    this.#wasStranded = true
    this.#courtesyUntil = next === this.#options.bus.processId ? 0 : performance.now() + courtesyMs
  }

  async #serve(ownership: Ownership): Promise<void> {
    const { bus, instance, onActive, onPartitions, log } = this.#options
    const over = new AbortController()
    this.#way[Symbol.dispose]()
    const early = this.#early
    this.#early = undefined
    const connection = early ?? this.#open()
    this.#connection = connection
    this.#owned = ownership
    this.successor = undefined
    let isLost = false
    const watch = ownership.onLost(reason => {
      log.warn({ reason }, 'another frontend has taken the component over')
      isLost = true
      over.abort()
    })
    this.#stopping.signal.addEventListener('abort', () => over.abort(), { once: true })
    if (this.#stopping.signal.aborted) over.abort()
    bus.owners.setInfo(activeInfo)
    onActive(true)
    const way = new OwnersWay({
      component: connection.component,
      onStranded: isStranded => bus.owners.setInfo(isStranded ? strandedInfo : activeInfo),
    })
    const tenure: Tenure = { way, over }
    this.#tenure = tenure
    if (early === undefined) connection.component.start()
    else connection.component.resume()
    const lanes = new PartitionLanes({
      bus,
      instance,
      feed: connection.feed,
      log,
      onLost: (partition, reason) => {
        if (!over.signal.aborted) log.warn({ partition, reason }, 'an event lane was lost')
        over.abort()
      },
    })
    const taking = this.#takePartitions(lanes, over.signal)
    void taking.then(() => onPartitions(lanes.count))
    await new Promise<void>(resolve => {
      if (over.signal.aborted) resolve()
      else over.signal.addEventListener('abort', () => resolve(), { once: true })
    })
    // A lane may be known to be lost before it is known whose the component is.
    while (!isLost && !this.#stopping.signal.aborted && !ownership.mayAct()) await this.#pause.for(certaintyMs)
    this.#tenure = undefined
    way[Symbol.dispose]()
    if (way.hadStream || tenure.heir !== undefined) this.#way.tenureEnded(way.hadStream)
    if (way.hadStream) this.#wasStranded = false
    // Before anything that takes time: a stream that is made again would throw the new owner out.
    if (isLost) await this.#yield(connection)
    await taking
    // Our own release is no loss.
    watch[Symbol.dispose]()
    const { heir } = tenure
    let answers: string[] = []
    if (isLost) {
      await lanes.release(lanes.partitions)
      await releaseAll([ownership], log)
    } else if (heir !== undefined) answers = await this.#giveWay(connection, lanes, ownership, heir)
    else await this.#close(connection, lanes, ownership)
    onPartitions(0)
    onActive(false)
    if (heir !== undefined && answers.length > 0) await this.#passOn(answers, heir)
  }

  async #takePartitions(lanes: PartitionLanes, over: AbortSignal): Promise<void> {
    const { partitions } = this.#options
    await Promise.all(Array.from({ length: partitions }, (_, partition) => this.#takePartition(partition, lanes, over)))
  }

  async #takePartition(partition: number, lanes: PartitionLanes, over: AbortSignal): Promise<void> {
    const { instance, log } = this.#options
    while (!over.aborted) {
      const ownership = await this.#acquire(partitionResource(instance, partition), over)
      if (ownership === undefined) return
      try {
        await lanes.take(partition, ownership, () => this.#owned?.mayAct() === true)
        return
      } catch (error) {
        log.warn({ err: error, partition }, 'an event lane could not be opened; trying again')
        await this.#rest()
      }
    }
  }

  /** Somebody else has the component: nothing more is said on this stream, and what is to be answered is by theirs. */
  async #yield({ component, feed }: Connection): Promise<void> {
    const { bus, instance, onLost, peers, log } = this.#options
    feed.close()
    const owner = await bus.owners.ownerOf(componentResource(instance)).catch((error: unknown) => {
      log.warn({ err: error }, 'who has the component cannot be told: what was read last is not answered')
      return undefined
    })
    this.successor = owner?.process
    this.#connection = undefined
    this.#owned = undefined
    onLost()
    // What the server had sent before it threw us out is read to the end, and refused.
    component.resume()
    await component.stop(0)
    for (const xml of component.takeAnswers()) if (this.successor !== undefined) peers.write(this.successor, xml)
  }

  async #close({ component, feed }: Connection, lanes: PartitionLanes, ownership: Ownership): Promise<void> {
    const { log, settleCommands, peers, bus } = this.#options
    const isSound = component.isOnline && ownership.mayAct()
    await lanes.drain(lanes.partitions, isSound)
    this.successor =
      isSound && this.#stopping.signal.aborted && bus.isConnected ? this.#others(standbyInfo)[0] : undefined
    if (this.successor !== undefined) {
      peers.askToTakeOver(this.successor)
      if (await component.replaced(replacedMs))
        log.info({ successor: this.successor }, 'another frontend has connected')
      else log.info({ successor: this.successor }, 'the server keeps this connection; it is ended for the next one')
    }
    feed.close()
    // Who waits for a login can be answered only while there is a stream.
    if (this.successor === undefined) await settleCommands(false)
    const unconfirmed = await component.stop(1_000)
    const answers = component.takeAnswers()
    if (this.successor !== undefined) for (const xml of answers) peers.write(this.successor, xml)
    else if (unconfirmed > 0) log.info({ unconfirmed }, 'stanzas were not confirmed at the end of the stream')
    this.#connection = undefined
    this.#owned = undefined
    await settleCommands(true)
    // The component last: who takes it wants the partitions next.
    await lanes.release(lanes.partitions)
    await releaseAll([ownership], log)
  }

  /** Leaves the component to another without a stream; what is unconfirmed it tells again. Returns what it is to answer with. */
  async #giveWay({ component, feed }: Connection, lanes: PartitionLanes, ownership: Ownership, heir: string) {
    const { log, settleCommands } = this.#options
    await lanes.drain(lanes.partitions, false)
    this.successor = heir
    feed.close()
    await component.stop(0)
    // What fails now is answered by the component's queue as well.
    await settleCommands(true)
    const answers = component.takeAnswers()
    this.#connection = undefined
    this.#owned = undefined
    await lanes.release(lanes.partitions)
    // Before it is told to all: this one would be the first to ask.
    this.#onGivenWay(heir)
    await ownership.release(heir).catch((error: unknown) => log.warn({ err: error }, 'an ownership was not released'))
    return answers
  }

  /** Has another write what is still to be answered. Before it is active, it would drop that. */
  async #passOn(answers: readonly string[], heir: string): Promise<void> {
    const deadline = performance.now() + activeMs
    while (this.#others(activeInfo).length === 0 && performance.now() < deadline) await this.#pause.for(certaintyMs)
    // Somebody else may have been quicker.
    this.successor = this.#others(activeInfo)[0] ?? heir
    for (const xml of answers) this.#options.peers.write(this.successor, xml)
  }

  /** The other frontends that say this of themselves. */
  #others(wanted: typeof standbyInfo): string[] {
    const { bus } = this.#options
    return bus.owners
      .processes('frontend')
      .filter(({ process, info }) => process !== bus.processId && info.link === wanted.link)
      .map(({ process }) => process)
  }
}
