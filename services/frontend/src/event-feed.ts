import type { Delivery, LaneConsumer, LaneHandler } from '@spectrum/bus'
import { type Address, type Event, eventCodec, MessageReceived_Kind, Show } from '@spectrum/messages'
import type { Logger } from '@spectrum/network'
import { startSpan } from '@spectrum/service-kit'
import { addressTo, type Component, escapeAttribute, escapeText } from '@spectrum/xmpp'
import type { Addresses } from './addresses.ts'
import type { AwaitedPeople } from './awaited-people.ts'
import type { FrontendMetrics } from './metrics.ts'
import type { Placements } from './placements.ts'
import type { RecentLines, RoomLine } from './recent-lines.ts'
import type { PrivateLine, RecentPrivateLines } from './recent-private-lines.ts'
import { Rendering } from './rendering.ts'
import type { ResourceTrust } from './resource-trust.ts'
import type { ReturnedLines } from './returned-lines.ts'
import { ToldLines } from './told-lines.ts'
import type { EventCase, Renderer, Xep } from './xep.ts'

export interface EventFeedOptions {
  readonly xeps: readonly Xep[]
  readonly addresses: Addresses
  readonly placements: Placements
  readonly trust: ResourceTrust
  readonly people: AwaitedPeople
  readonly recent: RecentLines
  readonly recentPrivate: RecentPrivateLines
  readonly returned: ReturnedLines
  readonly metrics: FrontendMetrics
  readonly log: Logger
  /** Puts an event aside that the XMPP server closes the stream for. */
  setAside(event: Event): void
}

/** What the feed needs to know of a lane. */
export interface FeedLane {
  /** Whether this process still holds the lane: asked before each write. */
  mayAct(): boolean
  onLost(reason: string): void
}

type AnyRenderer = Renderer<EventCase>

interface LaneState {
  readonly lane: FeedLane
  /** The highest epoch of each backend that the lane has told of: each lane has its own past. */
  readonly epochs: Map<number, number>
  /** Nothing of it is handed to the component any more. */
  isClosed: boolean
  /** What the component was handed and the server has not confirmed. */
  unconfirmed: number
  /** Called when that has become none. */
  onSettled?: () => void
}

/** How often a feed that had to hold back looks whether it may go on. */
const holdMs = 100
/** Bytes of events that wait for resources to answer, or for people to come back; beyond it the lanes are read no further. */
const maxHeldBytes = 16 * 1024 * 1024
/** What is told so late after a new stream says when it was said (XEP-0203). */
const lateMs = 5_000

/**
 * Turns the events of all partitions into stanzas on the component stream, and finishes each when the XMPP server has
 * confirmed its stanzas. What is for a resource that may be gone waits until it has answered, or goes back.
 */
export class EventFeed {
  readonly #options: EventFeedOptions
  readonly #component: Component
  readonly #renderers: ReadonlyMap<string, AnyRenderer>
  readonly #consumers = new Map<LaneConsumer, LaneState>()
  readonly #told = new ToldLines()
  #held: (readonly [Delivery<Event>, LaneState])[] = []
  #holdTimer: NodeJS.Timeout | undefined
  #count = 0
  #isPaused = false
  #isClosed = false

  constructor(component: Component, options: EventFeedOptions) {
    this.#component = component
    this.#options = options
    this.#renderers = renderersOf(options.xeps)
    component.onRelief(() => this.relieved())
  }

  /** Opens a partition's lane: `consume` is called with what handles its items. */
  async open(lane: FeedLane, consume: (handler: LaneHandler<Event>) => Promise<LaneConsumer>): Promise<LaneConsumer> {
    const state: LaneState = { lane, epochs: new Map(), isClosed: false, unconfirmed: 0 }
    const consumer = await consume({
      onItem: delivery => this.#onItem(delivery, state),
      onLost: reason => {
        state.isClosed = true
        lane.onLost(reason)
      },
    })
    this.#consumers.set(consumer, state)
    if (this.#isPaused) consumer.pause()
    return consumer
  }

  /**
   * Nothing of this lane is written any more, also not what was only queued; fulfils when the server has confirmed what was, or after
   * `limitMs`. True when nothing is left of which nobody knows whether it was told.
   */
  async settle(consumer: LaneConsumer, limitMs: number): Promise<boolean> {
    const state = this.#consumers.get(consumer)
    if (state === undefined) return true
    state.isClosed = true
    this.#component.withdraw(state)
    if (state.unconfirmed > 0 && limitMs > 0) {
      const { promise, resolve } = Promise.withResolvers<void>()
      const timer = setTimeout(resolve, limitMs)
      state.onSettled = resolve
      await promise
      clearTimeout(timer)
    }
    return state.unconfirmed === 0
  }

  /** Nothing of this lane is written any more; what is unfinished is the next owner's. */
  remove(consumer: LaneConsumer): void {
    const state = this.#consumers.get(consumer)
    if (state !== undefined) state.isClosed = true
    this.#consumers.delete(consumer)
  }

  /** Nothing is written any more. */
  close(): void {
    this.#isClosed = true
    clearTimeout(this.#holdTimer)
    this.#held = []
    for (const consumer of [...this.#consumers.keys()]) this.remove(consumer)
  }

  /** Tells once more what the server confirmed and may not have handed on, with the same ids: their lanes are done with them. */
  tellAgain(lines: readonly PrivateLine[]): void {
    const state: LaneState = {
      lane: { mayAct: () => true, onLost: () => undefined },
      ...{ epochs: new Map(), isClosed: false, unconfirmed: 0 },
    }
    for (const { order, event, resource } of lines) {
      this.#options.metrics.redelivered.inc({ kind: 'event', reason: 'uncertain' })
      this.#route({ order, event, state, done: () => undefined, abandon: () => undefined }, [resource], again)
    }
  }

  /** Something that the feed had to wait for has become less. */
  relieved(): void {
    if (!this.#isPaused || this.#held.length > 0 || this.#isFull) return
    this.#isPaused = false
    for (const consumer of this.#consumers.keys()) consumer.resume()
  }

  get #isFull(): boolean {
    const { trust, people } = this.#options
    return this.#component.isCongested || trust.heldBytes + people.heldBytes > maxHeldBytes
  }

  #onItem(delivery: Delivery<Event>, state: LaneState): void {
    if (this.#isClosed || state.isClosed) return
    if (this.#held.length > 0 || !state.lane.mayAct()) {
      this.#held.push([delivery, state])
      this.#pause()
      this.#holdTimer ??= setTimeout(() => this.#tryHeld(), holdMs)
      return
    }
    this.#write(delivery, state)
    if (this.#isFull) this.#pause()
  }

  #tryHeld(): void {
    this.#holdTimer = undefined
    if (this.#isClosed) return
    const still: (readonly [Delivery<Event>, LaneState])[] = []
    for (const [delivery, state] of this.#held) {
      if (state.isClosed) continue
      if (state.lane.mayAct()) this.#write(delivery, state)
      else still.push([delivery, state])
    }
    this.#held = still
    if (still.length > 0) this.#holdTimer = setTimeout(() => this.#tryHeld(), holdMs)
    else this.relieved()
  }

  #pause(): void {
    if (this.#isPaused) return
    this.#isPaused = true
    for (const consumer of this.#consumers.keys()) consumer.pause()
  }

  #write(delivery: Delivery<Event>, state: LaneState): void {
    const { metrics, placements, trust } = this.#options
    const { item } = delivery
    if (this.#isOutdated(item, state.epochs)) return delivery.finish()
    if (this.#told.isDouble(item)) {
      metrics.dropped.inc({ kind: 'event', reason: 'told-before' })
      return delivery.finish()
    }
    if (item.event !== undefined && isSignOut(item.event)) placements.forget(item.user)
    if (item.event?.$case === 'resourceCheck') {
      for (const resource of item.resources) if (resource !== '') trust.check(`${item.user}/${resource}`)
      return delivery.finish()
    }
    if (item.event?.$case === 'returnsAwaited') return this.#answerReturns(item, item.event.value.room, delivery)
    metrics.unconfirmed.inc()
    const span = startSpan('frontend event', item.traceparent === '' ? undefined : item.traceparent)
    const settle = () => {
      span.end()
      metrics.unconfirmed.dec()
    }
    const telling: Telling = {
      order: ++this.#count,
      event: item,
      state,
      done: () => {
        settle()
        delivery.finish()
      },
      abandon: settle,
    }
    this.#route(telling, item.resources.length === 0 ? bareOnly : item.resources, 0)
  }

  /** What was told before it has gone out or back; what may have been lost with the last stream goes back as well. */
  #answerReturns({ user, resources }: Event, room: Address | undefined, delivery: Delivery<Event>): void {
    const { recent, returned } = this.#options
    const [resource] = resources
    if (room === undefined || resource === undefined) return delivery.finish()
    for (const line of recent.takeUncertain(`${user}/${resource}`, room.node))
      returned.give(line, 'uncertain', () => undefined)
    returned.complete(user, resource, room, () => delivery.finish())
  }

  /** To those who are there at once, to the others when they have answered. The event is done when all have it. */
  #route(telling: Telling, resources: readonly string[], deaths: number): void {
    if (this.#isClosed || telling.state.isClosed) return telling.abandon()
    const { trust, people, returned } = this.#options
    const { event } = telling
    const { user } = event
    const isTrusted = (resource: string) =>
      resource === '' ? !people.isAwaited(user) : trust.isTrusted(`${user}/${resource}`)
    const isAbsent = (resource: string) => {
      const line = returned.hasAbsentees ? roomLineOf(event, resource) : undefined
      return line !== undefined && returned.isAbsent(line)
    }
    if (resources.every(resource => isTrusted(resource) && !isAbsent(resource))) {
      this.#send(telling, resources, deaths)
      return
    }
    const parts = divided(telling, resources.length)
    for (const resource of resources) {
      const held = () => ({
        order: telling.order,
        bytes: eventCodec.sizeOf(event),
        release: () => this.#route(parts, [resource], Math.max(deaths, again)),
        giveBack: () => this.#giveBack(parts, resource),
      })
      if (isAbsent(resource)) this.#giveBack(parts, resource)
      else if (isTrusted(resource)) this.#send(parts, [resource], deaths)
      else if (resource === '') people.hold(user, held())
      else trust.hold(`${user}/${resource}`, held())
    }
  }

  /** `deaths`: streams that died with it; `again` when it only waited. */
  #send(telling: Telling, resources: readonly string[], deaths: number): void {
    const { event, state } = telling
    if (this.#isClosed || state.isClosed) return telling.abandon()
    this.#noteEntry(event, resources)
    const stanzas = this.#render(deaths > 0 ? withDelay(event) : event, resources)
    if (stanzas.length === 0) return telling.done()
    state.unconfirmed++
    const over = () => {
      if (--state.unconfirmed === 0) state.onSettled?.()
    }
    const taken = this.#component.send({
      stanzas,
      owner: state,
      deaths: Math.floor(deaths),
      onConfirmed: () => {
        this.#remember(telling, resources)
        telling.done()
        over()
      },
      onReopened: died => {
        over()
        this.#route(telling, resources, Math.max(died, again))
      },
      onPoison: () => {
        this.#onPoison(event)
        telling.done()
        over()
      },
      onWithdrawn: () => {
        telling.abandon()
        over()
      },
    })
    this.#options.metrics.stanzasOut.inc({ event: event.event?.$case ?? 'none' }, taken)
  }

  /** The resource sees itself come in (XEP-0045 section 7.2.2): what is said from here on it may be told. */
  #noteEntry({ event, user }: Event, resources: readonly string[]): void {
    if (event?.$case !== 'occupantPresence' || event.value.from === undefined) return
    const { from, show, codes } = event.value
    if (show === Show.SHOW_OFFLINE || !codes.includes(ownPresence)) return
    for (const resource of resources) this.#options.returned.entered(user, resource, from.node)
  }

  /** For a resource that is gone: lines of rooms go back to the session, and a person is told wherever they are. */
  #giveBack(telling: Telling, resource: string): void {
    const { event, state } = telling
    if (this.#isClosed || state.isClosed) return telling.abandon()
    const line = roomLineOf(event, resource)
    if (line !== undefined) this.#options.returned.give(line, 'unverified', () => telling.done())
    else if (event.event?.$case === 'messageReceived') this.#route(telling, bareOnly, again)
    else {
      // Presence and the like is told anew when somebody is there again.
      this.#options.metrics.dropped.inc({ kind: 'event', reason: 'resource-is-gone' })
      telling.done()
    }
  }

  #remember({ event, order }: Telling, resources: readonly string[]): void {
    const { recent, recentPrivate } = this.#options
    const body = event.event
    for (const resource of resources) {
      const line = roomLineOf(event, resource)
      if (line !== undefined) recent.confirmed(line)
      else if (body?.$case === 'messageReceived' && body.value.kind !== MessageReceived_Kind.KIND_GROUPCHAT)
        recentPrivate.confirmed({ order, event, resource })
    }
  }

  /** An owner that was replaced may still speak for a moment. */
  #isOutdated({ backend, epoch }: Event, epochs: Map<number, number>): boolean {
    const known = epochs.get(backend) ?? 0
    if (epoch > known) epochs.set(backend, epoch)
    if (epoch >= known) return false
    this.#options.metrics.dropped.inc({ kind: 'event', reason: 'older-epoch' })
    return true
  }

  #render(event: Event, resources: readonly string[]): readonly string[] {
    const { metrics, log, addresses } = this.#options
    const { event: body, user } = event
    const renderer = body === undefined ? undefined : this.#renderers.get(body.$case)
    if (body === undefined || renderer === undefined) {
      metrics.dropped.inc({ kind: 'event', reason: 'unknown-event' })
      return nothing
    }
    try {
      const unaddressed = renderer(body.value, new Rendering(addresses, metrics, event))
      const stanzas: string[] = []
      for (const resource of resources) {
        const to = resource === '' ? user : `${user}/${resource}`
        for (const stanza of unaddressed) stanzas.push(addressTo(stanza, to))
      }
      return stanzas
    } catch (error) {
      log.error({ err: error, event: body.$case, key: event.key }, 'an event could not be rendered')
      metrics.dropped.inc({ kind: 'event', reason: 'failed' })
      return nothing
    }
  }

  #onPoison(poison: Event): void {
    const { log, addresses } = this.#options
    const { key, user, event } = poison
    log.error({ key, event: event?.$case }, 'the XMPP server closes the stream for this event; it is put aside')
    this.#options.setAside(poison)
    this.#component.send({ stanzas: [undeliverable(addresses.domain, user)] })
  }
}

/** Tells somebody that something for them cannot be delivered. */
export function undeliverable(domain: string, to: string): string {
  const text = 'A message from the network could not be delivered: the XMPP server refuses it.'
  const open = `<message from="${escapeAttribute(domain)}" type="headline"`
  return addressTo({ open, rest: `><body>${escapeText(text)}</body></message>` }, to)
}

/** An event on its way. */
interface Telling {
  /** Its number among all that came. */
  readonly order: number
  readonly event: Event
  readonly state: LaneState
  /** It is told, or has gone another way. */
  done(): void
  /** The lane is lost: the next owner tells it. */
  abandon(): void
}

/** Below one stream's death and above none: it only came late. */
const again = 0.5

/** Each of so many parts is done by itself. */
function divided(telling: Telling, parts: number): Telling {
  let open = parts
  let isAbandoned = false
  return {
    ...telling,
    done: () => {
      if (--open === 0 && !isAbandoned) telling.done()
    },
    abandon: () => {
      if (!isAbandoned) telling.abandon()
      isAbandoned = true
    },
  }
}

/** What is told late says when it was said. */
function withDelay(event: Event): Event {
  const body = event.event
  if (event.atMs === 0 || Date.now() - event.atMs < lateMs) return event
  if (body?.$case !== 'messageReceived' && body?.$case !== 'subjectChanged') return event
  if (body.value.delayedAtMs !== undefined) return event
  return { ...event, event: { ...body, value: { ...body.value, delayedAtMs: event.atMs } } as typeof body }
}

function roomLineOf({ event, user, key, atMs }: Event, resource: string): RoomLine | undefined {
  if (resource === '' || event?.$case !== 'messageReceived') return undefined
  const { value } = event
  if (value.kind !== MessageReceived_Kind.KIND_GROUPCHAT) return undefined
  // The same id again: who has read it after all sees that it is a double.
  return { user, resource, message: value.id === '' ? { ...value, id: key } : value, atMs }
}

/** The status code of the user's own occupant. */
const ownPresence = 110

/** No resource named: the server decides. The empty one is also that of a sender who has none: a component, a bridge. */
const bareOnly: readonly string[] = ['']
const nothing: readonly string[] = []

// What the placement cache holds of this user is outdated then.
function isSignOut(body: NonNullable<Event['event']>): boolean {
  if (body.$case === 'commandFailed') return body.value.failure?.code === 'signed-out'
  return body.$case === 'gatewayPresence' && body.value.show === Show.SHOW_OFFLINE
}

function renderersOf(xeps: readonly Xep[]): Map<string, AnyRenderer> {
  const renderers = new Map<string, AnyRenderer>()
  for (const { inbound = {} } of xeps) {
    for (const [event, renderer] of Object.entries(inbound)) {
      if (renderers.has(event)) throw new Error(`two features render ${event}`)
      renderers.set(event, renderer as AnyRenderer)
    }
  }
  return renderers
}
