import { instancePrefix, numberOfKey, type Owner, partitionOf, partitionResource } from '@spectrum/bus'
import type { Component, Element } from '@spectrum/xmpp'
import { Attendance, type LinkState } from './attendance.ts'
import type { EventFeed } from './event-feed.ts'
import type { Link, LinkOptions, Origin } from './link.ts'
import { PartitionLanes } from './partition-lanes.ts'
import { PlaceCheck } from './place-check.ts'
import { fairShare } from './shares.ts'
import { Substitutes } from './substitutes.ts'
import { WakefulPause } from './wakeful-pause.ts'

/** How often it is looked whether the shares are even. */
const balanceMs = 1_000
/** Partitions that change hands at once. */
const maxHandedOver = 4
/** A frontend without a stream for so long, while others have one, leaves its partitions to them. */
const offlineMs = 3_000
/** What nobody has for so long is taken by whoever sees it: frontends may count each other differently for a moment. */
const orphanMs = 5_000
/** How long a stream that is all but let in waits for the others to have ended what they hold in its place. */
const roomMs = 500
/** The server lets a stream in within this time, or the place is given back to the others. */
const enteredMs = 2_000
/** How often it is looked whether what users say comes in by every connection that the server counts on. */
const checkMs = 5_000
/** A connection that is made for one that is dead gets no place until the server knows that it is: so it is made again, ever later. */
const firstRenewalMs = 10_000
const longestRenewalMs = 120_000
/** Connections held beyond those of the frontends that were ever there at once. */
const maxExtras = 15

/**
 * For servers that accept several connections for one domain (ejabberd, Openfire): every frontend is connected, and each owns
 * an even share of the event partitions. Which connection a stanza comes in by is the server's choice; with balancing by the
 * sender's bare JID what one user says stays in order.
 *
 * ejabberd balances over a fixed number of connections, and drops what is for one that is missing: while a frontend is missing,
 * or has no stream, the others hold connections in its place, and end one when its stream lacks but the handshake. Those of a
 * frontend that is about to stop they make ready in the same way. ejabberd never gives a place to a connection that came while
 * all were taken, so that each stream asks the others before its handshake. One of them looks whether all places are read, and
 * connects once more when one is not: a machine died without a word, or the server counts on more than ever came.
 */
export class SharedLink implements Link {
  readonly #options: LinkOptions
  readonly #pause = new WakefulPause()
  readonly #owners = new Map<number, Owner>()
  readonly #freeSince = new Map<number, number>()
  readonly component: Component
  readonly feed: EventFeed
  readonly #lanes: PartitionLanes
  readonly #attendance: Attendance
  readonly #substitutes: Substitutes
  readonly #roomMade = new WakefulPause()
  /** Who has not answered yet that there is room. */
  readonly #asked = new Set<string>()
  readonly #check: PlaceCheck
  #checkAt = 0
  #extras = 0
  #renewalAt = 0
  #renewalMs = firstRenewalMs
  #hasBeenOnline = false
  #substituting: Promise<void> = Promise.resolve()
  #subscriptions: Disposable[] = []
  #running: Promise<void> | undefined
  readonly #stopping = new AbortController()
  #info = ''
  #offlineSince = performance.now()
  #isActive = false
  #origin: Origin = 'fresh'

  constructor(options: LinkOptions) {
    this.#options = options
    const { bus, instance, log } = options
    this.#attendance = new Attendance(bus.processId)
    this.#substitutes = new Substitutes(beforeHandshake => options.openSubstitute(beforeHandshake))
    const { component, feed } = options.open(
      () => this.#origin,
      () => this.#awaitRoom(),
    )
    this.component = component
    this.feed = feed
    this.#check = new PlaceCheck({
      domain: options.domain,
      resource: bus.processId,
      write: (stanzas, onConfirmed) => this.component.send({ stanzas, onConfirmed, onReopened: () => undefined }),
      onLost: probes => options.onLostProbes(probes),
    })
    this.#lanes = new PartitionLanes({
      bus,
      instance,
      feed,
      log,
      onLost: (partition, reason) => {
        log.warn({ partition, reason }, 'an event lane was lost')
        options.onPartitions(this.#lanes.count)
        this.#pause.wake()
      },
    })
  }

  get successor(): string | undefined {
    if (!this.#stopping.signal.aborted) return undefined
    return this.#members().find(process => process !== this.#options.bus.processId)
  }

  /** Every connection is its frontend's own. */
  get mayTake(): boolean {
    return true
  }

  tellerOf(user: string): string | undefined {
    const { bus, partitions } = this.#options
    const owner = this.#owners.get(partitionOf(user, partitions))
    return owner === undefined || owner.process === bus.processId ? undefined : owner.process
  }

  onTakeOver(): void {
    // Everybody is connected already.
  }

  onReaching(): void {
    // Whoever has no stream is substituted.
  }

  onJoining(process: string): void {
    const missing = this.#missing()
    this.#attendance.joins(process)
    // One more than ever were there at once: perhaps it is what was counted on.
    if (this.#extras > 0 && this.#missing() === missing) this.#extras--
    // It asks at the same time as this one: it holds nothing.
    this.onRoom(process, false)
    // It gets through to the server again, and so may this one: what this one asks then is its answer, and both enter together.
    if (this.component.hurry() && this.#substitutes.count === 0) return
    void this.#makeRoom().then(isMade => this.#options.peers.tellRoom(process, isMade))
  }

  onLeaving(process: string): void {
    this.#attendance.leaves(process)
    void this.#substitute()
  }

  onLeft(process: string): void {
    this.#attendance.left(process)
    void this.#substitute()
  }

  onStreamOpened(): void {
    // After a restart of the server nothing is dropped for long: whoever is back first holds the places of all.
    void this.#substitute()
    this.#pause.wake()
  }

  onStreamLost(): void {
    // The stream that is made again asks for its place.
    if (!this.#stopping.signal.aborted) this.#options.peers.tell('left')
    this.#check.forget()
    this.#pause.wake()
  }

  takes({ name, attrs }: Element): boolean {
    if (name !== 'iq') return false
    return this.#check.returned(String(attrs.id ?? ''), String(attrs.from ?? ''), String(attrs.to ?? ''))
  }

  onRoom(by: string, isMade: boolean): void {
    this.#attendance.heard(by)
    this.#asked.delete(by)
    // A place is empty from now on; of those that do not answer some have died.
    if (isMade || this.#asked.size === 0) this.#roomMade.wake()
  }

  pause(isPaused: boolean): void {
    if (isPaused) this.component.pause()
    else this.component.resume()
    this.#substitutes.pause(isPaused)
  }

  async start(): Promise<void> {
    const { bus, instance } = this.#options
    this.#subscriptions = [
      bus.owners.onDeath(process => {
        this.#attendance.left(process)
        void this.#substitute()
        this.#pause.wake()
      }),
      bus.onConnection(isConnected => this.component.isCutOff(!isConnected)),
      await bus.owners.watch(`partition.${instancePrefix(instance)}`, (resource, owner) => {
        const partition = numberOfKey(resource)
        if (owner === undefined) this.#owners.delete(partition)
        else this.#owners.set(partition, owner)
        if (owner === undefined) this.#pause.wake()
      }),
    ]
    this.component.start()
    this.#running = this.#run()
  }

  async stop(): Promise<void> {
    const { log, settleCommands, peers } = this.#options
    this.#stopping.abort()
    peers.tell('leaving')
    this.#tell()
    this.#pause.wake()
    await this.#running
    await this.#handOver(this.#lanes.partitions)
    this.feed.close()
    await settleCommands(false)
    const unconfirmed = await this.component.settled(1_000)
    if (unconfirmed > 0) log.info({ unconfirmed }, 'stanzas were not confirmed at the end of the stream')
    // All at once: the others connect in the place of all of them as soon as they are told.
    await Promise.all([this.component.stop(0), this.#dismiss()])
    peers.tell('left')
    await settleCommands(true)
    for (const subscription of this.#subscriptions) subscription[Symbol.dispose]()
    this.#setActive(false)
  }

  /** Asks the others to end what they hold in this process's place, and waits until they have. */
  async #awaitRoom(): Promise<void> {
    const { bus, peers } = this.#options
    this.#asked.clear()
    for (const { process } of this.#others()) this.#asked.add(process)
    // Without NATS nobody could be asked, and nobody could answer.
    if (this.#asked.size === 0 || !bus.isConnected) return
    peers.tell('joining')
    await this.#roomMade.for(roomMs)
    // The secret may be wrong, or the server not have the component.
    setTimeout(() => {
      if (!this.component.isOnline && !this.#stopping.signal.aborted) peers.tell('left')
    }, enteredMs).unref()
  }

  async #run(): Promise<void> {
    while (!this.#stopping.signal.aborted) {
      try {
        await this.#balance()
        await this.#checkPlaces()
      } catch (error) {
        this.#options.log.warn({ err: error }, 'the event partitions could not be shared out; trying again')
      }
      if (!this.#stopping.signal.aborted) await this.#pause.for(balanceMs)
    }
  }

  async #balance(): Promise<void> {
    const { bus, partitions } = this.#options
    const { isOnline } = this.component
    const now = performance.now()
    if (isOnline) {
      this.#offlineSince = now
      this.#hasBeenOnline = true
      if (!this.#isActive) this.#attendance.returned()
    }
    this.#tell()
    const members = this.#members()
    this.#setActive(isOnline)
    await this.#substitute()
    if (!isOnline) {
      // While the server is away for all, nobody could take them.
      if (!members.some(process => process !== bus.processId)) this.#offlineSince = now
      if (now - this.#offlineSince > offlineMs) await this.#handOver(this.#lanes.partitions)
      return
    }
    const share = fairShare(partitions, members, bus.processId)
    const surplus = this.#lanes.count - share
    if (surplus > 0) await this.#handOver(this.#lanes.partitions.slice(0, Math.min(surplus, maxHandedOver)))
    else await this.#take(this.#free(now), -surplus)
  }

  /** Connects once more when what users say does not come in by every connection. */
  async #checkPlaces(): Promise<void> {
    const { bus, log } = this.#options
    const now = performance.now()
    if (now < this.#checkAt) return
    this.#checkAt = now + checkMs
    // One looks for all.
    const isMine = this.component.isOnline && this.#members()[0] === bus.processId
    // A server that returns nothing to the component returns no probes either.
    if (!isMine || !bus.isConnected || !this.component.isConfirming) return this.#check.forget()
    const places = this.#check.look(this.#attendance.most + this.#extras)
    if (places === 'whole') this.#renewalMs = firstRenewalMs
    if (places !== 'broken' || now < this.#renewalAt) return
    this.#renewalAt = now + this.#renewalMs
    this.#renewalMs = Math.min(this.#renewalMs * 2, longestRenewalMs)
    log.warn(
      { extras: this.#extras },
      'the XMPP server drops part of what users say, as a connection that it counts on is dead or missing; connecting once more',
    )
    await this.#change(async () => {
      if (!(await this.#substitutes.renew())) this.#extras = Math.min(this.#extras + 1, maxExtras)
    })
    await this.#substitute()
  }

  /** Partitions that nobody has, who waits longest first. */
  #free(now: number): { partition: number; isOrphan: boolean }[] {
    const { bus, partitions } = this.#options
    const own = new Set(this.#lanes.partitions)
    const free: { partition: number; isOrphan: boolean }[] = []
    for (let partition = 0; partition < partitions; partition++) {
      const owner = this.#owners.get(partition)
      if (
        own.has(partition) ||
        (owner !== undefined && owner.process !== bus.processId && !bus.owners.isDead(owner.process))
      ) {
        this.#freeSince.delete(partition)
        continue
      }
      const since = this.#freeSince.get(partition) ?? now
      this.#freeSince.set(partition, since)
      free.push({ partition, isOrphan: now - since > orphanMs })
    }
    return free
  }

  async #take(free: readonly { partition: number; isOrphan: boolean }[], wanted: number): Promise<void> {
    const { bus, instance, log, onPartitions } = this.#options
    let missing = wanted
    await Promise.all(
      free
        .filter(({ isOrphan }) => missing-- > 0 || isOrphan)
        .map(async ({ partition }) => {
          try {
            const ownership = await bus.owners.acquire(partitionResource(instance, partition), this.#stopping.signal)
            if (ownership !== undefined) await this.#lanes.take(partition, ownership)
          } catch (error) {
            log.warn({ err: error, partition }, 'an event lane could not be opened; trying again')
          }
        }),
    )
    onPartitions(this.#lanes.count)
  }

  async #handOver(partitions: readonly number[]): Promise<void> {
    await this.#lanes.drain(partitions, this.component.isOnline && this.#options.bus.isConnected)
    await this.#lanes.release(partitions)
    this.#options.onPartitions(this.#lanes.count)
  }

  /** Ends a connection that is held in the place of one who comes; true when there was one. */
  async #makeRoom(): Promise<boolean> {
    const before = this.#substitutes.count
    // Without an own stream nothing else is done about them.
    if (!this.component.isOnline) await this.#hold(() => ({ now: Math.max(0, before - 1), soon: 0 }))
    else await this.#substitute()
    return this.#substitutes.count < before
  }

  /** Holds the connections of frontends that are missing, each that is there an even share, until this one stops. */
  #substitute(): Promise<void> {
    return this.#hold(() => {
      const { processId } = this.#options.bus
      // Also before there is a stream: it learns how many there were.
      const missing = this.#missing()
      if (!this.component.isOnline || this.#stopping.signal.aborted) return undefined
      const members = this.#members()
      const now = fairShare(missing, members, processId)
      const soon = fairShare(missing + this.#attendance.leaving(this.#others()), members, processId) - now
      return { now: now + this.#extras, soon }
    })
  }

  /** Holds none any more. */
  #dismiss(): Promise<void> {
    return this.#hold(() => ({ now: 0, soon: 0 }))
  }

  /** One change after the other, each by what is so when it is its turn. */
  #hold(wanted: () => { now: number; soon: number } | undefined): Promise<void> {
    const { log, onSubstitutes } = this.#options
    return this.#change(async () => {
      const connections = wanted()
      if (connections === undefined) return
      const before = this.#substitutes.count
      await this.#substitutes.hold(connections.now, connections.soon)
      const { count } = this.#substitutes
      if (count === before) return
      onSubstitutes(count)
      log.info({ connections: count }, 'connections are held in place of frontends that are missing')
    })
  }

  #change(change: () => Promise<void>): Promise<void> {
    this.#substituting = this.#substituting
      .then(change)
      .catch((error: unknown) =>
        this.#options.log.warn({ err: error }, 'connections of missing frontends could not be adjusted'),
      )
    return this.#substituting
  }

  /** How many frontends are missing of the most that there were. */
  #missing(): number {
    return this.#attendance.missing(this.#members(), this.#others())
  }

  #others() {
    const { bus } = this.#options
    return bus.owners.processes('frontend').filter(({ process }) => process !== bus.processId)
  }

  /** Frontends that have a stream and mean to stay. */
  #members(): readonly string[] {
    const { bus } = this.#options
    const others = this.#others()
      .filter(({ process, info }) => info.link === 'shared' && !this.#attendance.isLeaving(process))
      .map(({ process }) => process)
    return this.component.isOnline && !this.#stopping.signal.aborted ? [...others, bus.processId].sort() : others.sort()
  }

  /** Says in the heartbeat whether this process takes a share. */
  #tell(): void {
    const link = this.#state()
    const { most } = this.#attendance
    if (this.#info === `${link} ${most}`) return
    this.#info = `${link} ${most}`
    this.#options.bus.owners.setInfo({ link, most })
  }

  #state(): LinkState {
    if (this.#stopping.signal.aborted) return this.component.isOnline ? 'leaving' : 'away'
    if (this.component.isOnline) return 'shared'
    return this.#hasBeenOnline ? 'away' : 'starting'
  }

  #setActive(isActive: boolean): void {
    if (isActive === this.#isActive) return
    this.#isActive = isActive
    this.#options.onActive(isActive)
  }
}
