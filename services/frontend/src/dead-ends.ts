import type { Bus } from '@spectrum/bus'
import { type Event, eventCodec } from '@spectrum/messages'
import type { Logger } from '@spectrum/network'
import { type Component, parseElement } from '@spectrum/xmpp'
import { undeliverable } from './event-feed.ts'
import type { FrontendMetrics } from './metrics.ts'

export interface DeadEndsOptions {
  readonly bus: Bus
  readonly metrics: FrontendMetrics
  readonly log: Logger
  /** The component's JID. */
  readonly domain: string
}

/** What the XMPP server closes the stream for, put aside where an operator finds it. */
export class DeadEnds {
  readonly #options: DeadEndsOptions

  constructor(options: DeadEndsOptions) {
    this.#options = options
  }

  event(event: Event): void {
    this.#options.metrics.poison.inc({ kind: 'event' })
    this.#put(eventCodec.encode([event]), event.user)
  }

  /** An answer to a stanza; whoever waits for it is told. */
  answer(xml: string, component: Component | undefined): void {
    const { metrics, log, domain } = this.#options
    metrics.poison.inc({ kind: 'answer' })
    log.error({}, 'the XMPP server closes the stream for an answer; it is put aside')
    const to = String(parseElement(xml)?.attrs.to ?? '')
    this.#put(Buffer.from(xml), to.split('/', 1)[0] ?? to)
    if (to !== '') component?.send({ stanzas: [undeliverable(domain, to)] })
  }

  #put(data: Uint8Array, user: string): void {
    void this.#options.bus.setAside({ reason: 'stream-closed', data, user })
  }
}
