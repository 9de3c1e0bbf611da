import type { Address, Event } from '@spectrum/messages'
import { dropIllegal, escapeText, splitText } from '@spectrum/xmpp'
import type { Addresses } from './addresses.ts'
import type { FrontendMetrics } from './metrics.ts'

/** Status texts, reasons and the like: cut beyond this many bytes. */
const maxShortTextBytes = 4_096

/** What renderers work with: the event at hand, and how names become JIDs. */
export interface RenderContext {
  readonly event: Event
  readonly addresses: Addresses
  /** The JID of an address; when there is none, counts it and returns `undefined`. */
  jid(address: Address | undefined): string | undefined
  /** Counts an event, or a part of one, that cannot be told. */
  drop(reason: string): void
  /** Counts a text that had to be changed. */
  repair(repair: string): void
}

export class Rendering implements RenderContext {
  readonly addresses: Addresses
  readonly #metrics: FrontendMetrics
  event: Event

  constructor(addresses: Addresses, metrics: FrontendMetrics, event: Event) {
    this.addresses = addresses
    this.#metrics = metrics
    this.event = event
  }

  jid(address: Address | undefined): string | undefined {
    const jid = this.addresses.format(address)
    if (jid === undefined) this.drop('no-jid-for-name')
    return jid
  }

  drop(reason: string): void {
    this.#metrics.dropped.inc({ kind: 'event', reason })
  }

  repair(repair: string): void {
    this.#metrics.repaired.inc({ repair })
  }
}

/** A text for a person that is not a message, as XML: illegal characters dropped and counted, too long ones cut. */
export function shortText(text: string, context: RenderContext): string {
  const clean = cleanText(text, context)
  const [first = '', ...more] = splitText(clean, maxShortTextBytes)
  if (more.length === 0) return escapeText(clean)
  context.repair('text-cut')
  return `${escapeText(first)}…`
}

/** The text without what XML does not have; counted when that was something. */
export function cleanText(text: string, context: RenderContext): string {
  const clean = dropIllegal(text)
  if (clean.length !== text.length) context.repair('illegal-characters')
  return clean
}

/** `<name>text</name>` for a short text, nothing when it is empty. */
export function shortElement(name: string, text: string, context: RenderContext): string {
  return text === '' ? '' : `<${name}>${shortText(text, context)}</${name}>`
}
