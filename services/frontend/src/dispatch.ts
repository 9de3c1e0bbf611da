import { Show } from '@spectrum/messages'
import { NetworkError } from '@spectrum/network'
import { startSpan } from '@spectrum/service-kit'
import { childElements, conditionOf, type Element, excessOf, parseJid, xml } from '@spectrum/xmpp'
import { Departures } from './departures.ts'
import type { Gateway } from './gateway.ts'
import { maxIdLength, type OutboundStanza } from './outbound-stanza.ts'
import type { RecentLines } from './recent-lines.ts'
import type { ResourceTrust } from './resource-trust.ts'
import type { ReturnedLines } from './returned-lines.ts'
import type { IqHandler, StanzaHandler, Xep } from './xep.ts'

/** IQs that are being answered, at most, of one bare JID and of all: an answer may wait for the router. */
const maxOpenIqsOfSender = 64
const maxOpenIqs = 10_000

/** Conditions of a bounced stanza that say that its addressee is gone (XEP-0045 section 17.3, RFC 6120 section 8.3.3). */
const goneConditions = new Set([
  'gone',
  'item-not-found',
  'recipient-unavailable',
  'remote-server-not-found',
  'service-unavailable',
])

/** What is known of the resources that speak here. */
export interface Resources {
  readonly trust: ResourceTrust
  readonly recent: RecentLines
  readonly returned: ReturnedLines
  /** A resource spoke: another frontend may have to know. */
  onHeard(user: string, fullJid: string, isPresence: boolean): void
  /** How long a resource that is gone after a new stream may take to return. Milliseconds. */
  readonly returnMs: number
}

/** Reads the stanzas of users and hands each to the feature that it is for. Never throws. */
export class Dispatch {
  readonly #gateway: Gateway
  readonly #iqs = new Map<string, IqHandler>()
  readonly #namespaces = new Set<string>()
  readonly #presence: StanzaHandler[] = []
  readonly #message: StanzaHandler[] = []
  readonly departures: Departures
  readonly #resources: Resources
  /** IQs that are being answered, by the sender's bare JID. */
  readonly #openIqsOf = new Map<string, number>()
  #openIqs = 0

  constructor(gateway: Gateway, xeps: readonly Xep[], resources: Resources) {
    this.#gateway = gateway
    this.#resources = resources
    this.departures = new Departures({ signOut: fullJid => this.#signOut(fullJid), returnMs: resources.returnMs })
    for (const { iqs = [], presence, message } of xeps) {
      for (const iq of iqs) {
        this.#iqs.set(`${iq.type} ${iq.name} ${iq.xmlns}`, iq)
        this.#namespaces.add(iq.xmlns)
      }
      if (presence !== undefined) this.#presence.push(presence)
      if (message !== undefined) this.#message.push(message)
    }
  }

  onStanza(element: Element): void {
    const { metrics, log } = this.#gateway.parts
    try {
      this.#dispatch(element)
    } catch (error) {
      // One stanza that a feature stumbles over must not end the stream of all.
      log.error({ err: error, kind: element.name }, 'a stanza could not be handled')
      metrics.dropped.inc({ kind: 'stanza', reason: 'failed' })
    }
  }

  /** Answers a stanza that cannot be handled any more, as it was read too late. */
  refuse(element: Element): void {
    const name = element.getName()
    this.#gateway.parts.metrics.stanzasIn.inc({ kind: name })
    const stanza = this.#read(element, name)
    if (stanza === undefined) return
    // Nobody waits for an answer to these; who goes is found by the new owner.
    if (name === 'presence' && stanza.type !== '') return void this.#gateway.ignore('read-too-late')
    this.#gateway.fail(stanza, new NetworkError('unavailable', 'The gateway stood still; please send this again.'))
  }

  #dispatch(element: Element): void {
    const name = element.getName()
    this.#gateway.parts.metrics.stanzasIn.inc({ kind: name })
    const isIdTooLong = String(element.attrs.id ?? '').length > maxIdLength
    if (isIdTooLong) {
      this.#gateway.ignore('id-too-long')
      // What answers an iq carries its id (RFC 6120 section 8.1.3): nothing can answer this one.
      if (name === 'iq') return
      delete element.attrs.id
    }
    const stanza = this.#read(element, name)
    if (stanza === undefined) return
    if (name === 'presence' && stanza.type === 'unavailable') {
      const isAll = stanza.to.name === ''
      if (isAll) this.#resources.trust.left(stanza.from)
      this.departures.left(stanza.from, isAll ? 'resource' : 'room', () => this.#offerTraced(stanza))
      return
    }
    if (stanza.type !== 'error') this.#heard(stanza)
    const excess = excessOf(element)
    // Who goes must be able to go, whatever the id.
    if (isIdTooLong && stanza.type !== 'unavailable' && stanza.type !== 'error') {
      this.#gateway.fail(stanza, new NetworkError('too-large', 'The id of this stanza is too long.'))
    } else if (excess !== undefined) {
      this.#gateway.ignore(excess)
      this.#gateway.fail(stanza, new NetworkError('too-large', 'This stanza is too large.'))
    } else if (stanza.type === 'error') {
      this.#bounced(stanza)
    } else if (name === 'iq') {
      this.#iq(stanza)
    } else {
      this.#offerTraced(stanza)
    }
  }

  #heard({ user, from, name, type }: OutboundStanza): void {
    // What an answer says is for whoever asked to tell: any client that has the resource's name by now gives it.
    if (name === 'iq' && type === 'result') return this.departures.heard(from)
    // A client that has just been connected says first that it is there.
    const isPresence = name === 'presence' && type === ''
    this.heard(from, isPresence)
    this.#resources.onHeard(user, from, isPresence)
  }

  /** A resource spoke, here or to another frontend. */
  heard(fullJid: string, isPresence: boolean): void {
    this.departures.heard(fullJid)
    this.#resources.trust.heard(fullJid, isPresence)
  }

  /** The trace of a message begins here; its context travels with the command. */
  #offerTraced(stanza: OutboundStanza): void {
    const span = startSpan(`frontend ${stanza.name}`)
    span.run(() => this.#offer(stanza, stanza.name === 'presence' ? this.#presence : this.#message))
    span.end()
  }

  #offer(stanza: OutboundStanza, handlers: readonly StanzaHandler[]): void {
    for (const handler of handlers) if (handler(stanza, this.#gateway)) return
    this.#gateway.refuse(stanza, { type: 'cancel', condition: 'service-unavailable' })
  }

  /** The stanza with its addresses; one with bad ones is answered as far as it can be. */
  #read(element: Element, name: string): OutboundStanza | undefined {
    const { attrs } = element
    const gateway = this.#gateway
    if (name !== 'message' && name !== 'presence' && name !== 'iq') {
      gateway.ignore('unknown-element')
      return undefined
    }
    const sender = typeof attrs.from === 'string' ? parseJid(attrs.from) : undefined
    if (sender === undefined || (sender.domain === gateway.domain && !gateway.parts.isOwnUser(element))) {
      gateway.ignore(sender === undefined ? 'sender-malformed' : 'own-stanza')
      return undefined
    }
    const target = typeof attrs.to === 'string' ? parseJid(attrs.to) : undefined
    const stanza = {
      element,
      name,
      type: String(attrs.type ?? ''),
      id: String(attrs.id ?? ''),
      from: attrs.from as string,
      user: sender.local === '' ? sender.domain : `${sender.local}@${sender.domain}`,
      resource: sender.resource,
      domain: sender.domain,
      to: gateway.parts.addresses.parse(target?.local ?? '', target?.resource ?? ''),
    } as const
    if (target?.domain === gateway.domain) return stanza
    if (target === undefined) {
      // An answer is from where the stanza went to, and no server passes on what is from no valid address.
      element.attrs.to = gateway.domain
      gateway.fail(stanza, new NetworkError('bad-address', 'This is no valid address.'))
    } else gateway.ignore('foreign-addressee')
    return undefined
  }

  #iq(stanza: OutboundStanza): void {
    const gateway = this.#gateway
    const { type, element } = stanza
    if (type === 'result') {
      if (!this.#resources.trust.answered(stanza.from, stanza.id, false)) gateway.ignore('iq-result')
      return
    }
    const [payload, ...more] = childElements(element)
    if ((type !== 'get' && type !== 'set') || payload === undefined || more.length > 0 || stanza.id === '') {
      gateway.fail(stanza, new NetworkError('bad-request', 'An iq has an id, the type get or set, and one child.'))
      return
    }
    const xmlns = payload.getNS() ?? ''
    const handler = this.#iqs.get(`${type} ${payload.getName()} ${xmlns}`)
    if (handler === undefined) {
      const condition = this.#namespaces.has(xmlns) ? 'feature-not-implemented' : 'service-unavailable'
      gateway.refuse(stanza, { type: 'cancel', condition })
    } else if (this.#openIqs >= maxOpenIqs || (this.#openIqsOf.get(stanza.user) ?? 0) >= maxOpenIqsOfSender) {
      gateway.fail(stanza, new NetworkError('rate-limited', 'The gateway is busy; try again later.'))
    } else {
      void this.#answer(stanza, payload, handler)
    }
  }

  async #answer(stanza: OutboundStanza, question: Element, handler: IqHandler): Promise<void> {
    const gateway = this.#gateway
    this.#countOpen(stanza.user, 1)
    try {
      const answer = handler.answer(stanza, question, gateway)
      // An answer at hand keeps its place among the other stanzas.
      const payload = answer instanceof Promise ? await answer : answer
      if (payload !== 'by-event') gateway.result(stanza, payload)
    } catch (reason) {
      const error = NetworkError.from(reason)
      if (error.code === 'unexpected') gateway.parts.log.error({ err: reason, xmlns: handler.xmlns }, 'an iq failed')
      gateway.fail(stanza, error)
    } finally {
      this.#countOpen(stanza.user, -1)
    }
  }

  #countOpen(user: string, change: 1 | -1): void {
    this.#openIqs += change
    const open = (this.#openIqsOf.get(user) ?? 0) + change
    if (open === 0) this.#openIqsOf.delete(user)
    else this.#openIqsOf.set(user, open)
  }

  /** An error for something that we sent: its addressee may be gone, and then must not stay as a ghost. */
  #bounced(stanza: OutboundStanza): void {
    const isGone = goneConditions.has(conditionOf(stanza.element))
    const { trust, recent, returned } = this.#resources
    if (stanza.name === 'iq' && trust.answered(stanza.from, stanza.id, isGone)) return
    if (stanza.name === 'iq' || !isGone) {
      this.#gateway.ignore(`bounced-${stanza.name}`)
      return
    }
    const line = stanza.name === 'message' ? recent.bounced(stanza.from, stanza.id) : undefined
    if (line !== undefined) returned.give(line, 'bounced', () => undefined)
    const mayReturn = this.departures.bounced(stanza.from, () => this.#goesOffline(stanza))
    this.#gateway.ignore(mayReturn ? 'resource-may-return' : 'resource-gone')
  }

  /** A resource was asked whether it is there, and is not. */
  resourceGone(fullJid: string): void {
    if (this.departures.bounced(fullJid, () => this.#signOut(fullJid))) this.#gateway.ignore('resource-may-return')
  }

  /** A resource that did not come back after the server was restarted. */
  #signOut(fullJid: string): void {
    const presence = xml('presence', { from: fullJid, to: this.#gateway.domain, type: 'unavailable' })
    const stanza = this.#read(presence, 'presence')
    if (stanza === undefined) return
    this.#gateway.ignore('resource-did-not-return')
    this.#goesOffline(stanza)
  }

  #goesOffline(stanza: OutboundStanza): void {
    const value = { show: Show.SHOW_OFFLINE, status: '', priority: 0 }
    this.#gateway.command(stanza, { $case: 'setPresence', value }, { session: 'optional' })
  }
}
