import type { Delivery, LaneConsumer, LaneHandler } from '@spectrum/bus'
import { type Event, Show } from '@spectrum/messages'
import type { Logger } from '@spectrum/network'
import { startSpan } from '@spectrum/service-kit'
import { addressTo, type Component, escapeText } from '@spectrum/xmpp'
import type { Addresses } from './addresses.ts'
import type { FrontendMetrics } from './metrics.ts'
import type { Placements } from './placements.ts'
import { Rendering } from './rendering.ts'
import type { EventCase, Renderer, Xep } from './xep.ts'

export interface EventFeedOptions {
  readonly xeps: readonly Xep[]
  readonly addresses: Addresses
  readonly placements: Placements
  readonly metrics: FrontendMetrics
  readonly log: Logger
  /** Whether this process still holds the component: asked before each write. */
  mayAct(): boolean
}

type AnyRenderer = Renderer<EventCase>

/** The highest epoch of each backend that one lane has told of. */
type Epochs = Map<number, number>

/** How often a feed that had to hold back looks whether it may go on. */
const holdMs = 100

/**
 * Turns the events of all partitions into stanzas on the component stream, and finishes each when the XMPP server has
 * confirmed its stanzas.
 */
export class EventFeed {
  readonly #options: EventFeedOptions
  readonly #component: Component
  readonly #renderers: ReadonlyMap<string, AnyRenderer>
  readonly #consumers = new Set<LaneConsumer>()
  #held: (readonly [Delivery<Event>, Epochs])[] = []
  #holdTimer: NodeJS.Timeout | undefined
  #isPaused = false
  #isClosed = false

  constructor(component: Component, options: EventFeedOptions) {
    this.#component = component
    this.#options = options
    this.#renderers = renderersOf(options.xeps)
    component.onRelief(() => this.#relieved())
  }

  /** For one partition's lane. */
  handler(onLost: (reason: string) => void): LaneHandler<Event> {
    // Each lane has its own past: what one still holds of a backend's earlier epoch is not late because another is further.
    const epochs: Epochs = new Map()
    return {
      onItem: delivery => this.#onItem(delivery, epochs),
      onLost,
    }
  }

  add(consumer: LaneConsumer): void {
    this.#consumers.add(consumer)
    if (this.#isPaused) consumer.pause()
  }

  remove(consumer: LaneConsumer): void {
    this.#consumers.delete(consumer)
  }

  /** Nothing is written any more. */
  close(): void {
    this.#isClosed = true
    clearTimeout(this.#holdTimer)
    this.#held = []
  }

  #onItem(delivery: Delivery<Event>, epochs: Epochs): void {
    if (this.#isClosed) return
    if (this.#held.length > 0 || !this.#options.mayAct()) {
      this.#held.push([delivery, epochs])
      this.#pause()
      this.#holdTimer ??= setTimeout(() => this.#tryHeld(), holdMs)
      return
    }
    this.#write(delivery, epochs)
    if (this.#component.isCongested) this.#pause()
  }

  #tryHeld(): void {
    this.#holdTimer = undefined
    if (this.#isClosed) return
    if (!this.#options.mayAct()) {
      this.#holdTimer = setTimeout(() => this.#tryHeld(), holdMs)
      return
    }
    const held = this.#held
    this.#held = []
    for (const [delivery, epochs] of held) this.#write(delivery, epochs)
    this.#relieved()
  }

  #pause(): void {
    if (this.#isPaused) return
    this.#isPaused = true
    for (const consumer of this.#consumers) consumer.pause()
  }

  #relieved(): void {
    if (!this.#isPaused || this.#held.length > 0 || this.#component.isCongested) return
    this.#isPaused = false
    for (const consumer of this.#consumers) consumer.resume()
  }

  #write(delivery: Delivery<Event>, epochs: Epochs): void {
    const { metrics } = this.#options
    const { item } = delivery
    const stanzas = this.#isOutdated(item, epochs) ? nothing : this.#render(item)
    if (stanzas.length === 0) {
      delivery.finish()
      return
    }
    metrics.unconfirmed.inc()
    const span = startSpan('frontend event', item.traceparent === '' ? undefined : item.traceparent)
    const done = () => {
      span.end()
      metrics.unconfirmed.dec()
      delivery.finish()
    }
    const taken = this.#component.send({
      stanzas,
      onConfirmed: done,
      onPoison: () => {
        this.#onPoison(item)
        done()
      },
    })
    metrics.stanzasOut.inc({ event: item.event?.$case ?? 'none' }, taken)
  }

  /** An owner that was replaced may still speak for a moment. */
  #isOutdated({ backend, epoch }: Event, epochs: Epochs): boolean {
    const known = epochs.get(backend) ?? 0
    if (epoch > known) epochs.set(backend, epoch)
    if (epoch >= known) return false
    this.#options.metrics.dropped.inc({ kind: 'event', reason: 'older-epoch' })
    return true
  }

  #render(event: Event): readonly string[] {
    const { metrics, log, addresses, placements } = this.#options
    const { event: body, user, resources } = event
    const renderer = body === undefined ? undefined : this.#renderers.get(body.$case)
    if (body === undefined || renderer === undefined) {
      metrics.dropped.inc({ kind: 'event', reason: 'unknown-event' })
      return nothing
    }
    if (isSignOut(body)) placements.forget(user)
    try {
      const unaddressed = renderer(body.value, new Rendering(addresses, metrics, event))
      const stanzas: string[] = []
      for (const to of recipientsOf(user, resources))
        for (const stanza of unaddressed) stanzas.push(addressTo(stanza, to))
      return stanzas
    } catch (error) {
      log.error({ err: error, event: body.$case, key: event.key }, 'an event could not be rendered')
      metrics.dropped.inc({ kind: 'event', reason: 'failed' })
      return nothing
    }
  }

  #onPoison({ key, user, event }: Event): void {
    const { log, addresses } = this.#options
    log.error({ key, event: event?.$case }, 'the XMPP server closes the stream for this event; it is given up')
    const text = 'A message from the network could not be delivered: the XMPP server refuses it.'
    const open = `<message from="${addresses.domain}" type="headline"`
    this.#component.send({
      stanzas: [addressTo({ open, rest: `><body>${escapeText(text)}</body></message>` }, user)],
    })
  }
}

const nothing: readonly string[] = []

/** No resource named: the server decides. The empty one is that of a sender who has none: a component, a bridge. */
function recipientsOf(user: string, resources: readonly string[]): readonly string[] {
  if (resources.length === 0) return [user]
  return resources.map(resource => (resource === '' ? user : `${user}/${resource}`))
}

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
