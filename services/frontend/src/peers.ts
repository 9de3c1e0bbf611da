import { type Bus, instanceTopic, processTopic } from '@spectrum/bus'
import type { Logger } from '@spectrum/network'
import { type Element, parseElement, toXml } from '@spectrum/xmpp'
import { bareOf } from './addresses.ts'
import type { FrontendMetrics } from './metrics.ts'

export interface PeersOptions {
  readonly bus: Bus
  readonly instance: string
  /** The component's JID. */
  readonly domain: string
  /** Of one stanza as it is read; escaped again, it may be a little larger. */
  readonly maxStanzaBytes: number
  readonly metrics: FrontendMetrics
  readonly log: Logger
  /** Who tells the user's events, where it is known and somebody else. */
  tellerOf(user: string): string | undefined
}

export interface PeerListener {
  /** A stanza for this process that reached another. */
  onStanza(stanza: Element): void
  /** A stanza that another process can write no more. */
  onWrite(xml: string): void
  /** `from` is about to stop, and `to` shall connect now. */
  onTakeOver(from: string, to: string): void
  /** That frontend is about to connect to a server that takes several. */
  onJoining(process: string): void
  /** That frontend is about to end its connection for good. */
  onLeaving(process: string): void
  /** That frontend has ended its connection for good. */
  onLeft(process: string): void
  /** That frontend holds no connection any more in this process's place; `isMade`: it has ended one. */
  onRoom(by: string, isMade: boolean): void
  /** That frontend stands by and reaches the XMPP server, to which this process has said that it has no way. */
  onReaching(by: string): void
  /** A resource whose events this process tells spoke to another; `isPresence`: it said that it is available. */
  onHeard(fullJid: string, isPresence: boolean): void
}

/** The words of notifications between frontends. */
const stanzaWord = 'stanza'
const writeWord = 'write'
const takeOverWord = 'take-over'
const joiningWord = 'joining'
const leavingWord = 'leaving'
const leftWord = 'left'
const roomWord = 'room'
const reachingWord = 'reaching'
const heardWord = 'heard'

/** Who speaks and speaks again is told of once in so long. */
const heardMs = 1_000

/**
 * What frontends of one instance tell each other. A server with several connections of the component chooses by itself which of
 * them gets a stanza: answers to what one frontend sent may reach another, which passes them on.
 */
export class Peers implements Disposable {
  readonly #options: PeersOptions
  #subscriptions: Disposable[] = []
  /** Told of lately, and when that is forgotten. */
  #heard = new Set<string>()
  #heardUntil = 0

  constructor(options: PeersOptions) {
    this.#options = options
  }

  listen(listener: PeerListener): void {
    const { bus, instance, domain } = this.#options
    const own = (word: string) => processTopic(instance, bus.processId, word)
    this.#subscriptions = [
      bus.onNotify(own(stanzaWord), payload => {
        const stanza = this.#parse(payload)
        if (stanza !== undefined) listener.onStanza(stanza)
      }),
      bus.onNotify(own(writeWord), payload => {
        // What is no stanza of the gateway's, or more than one, would end the stream of all.
        const stanza = this.#parse(payload, ({ attrs }) => attrs.to && hostOf(String(attrs.from ?? '')) === domain)
        if (stanza !== undefined) listener.onWrite(toXml(stanza))
      }),
      bus.onNotify(instanceTopic(instance, takeOverWord), payload => {
        const [from = '', to = ''] = text(payload).split(' ')
        if (from !== bus.processId) listener.onTakeOver(from, to)
      }),
      this.#onProcess(joiningWord, process => listener.onJoining(process)),
      this.#onProcess(leavingWord, process => listener.onLeaving(process)),
      this.#onProcess(leftWord, process => listener.onLeft(process)),
      this.#onProcess(reachingWord, process => listener.onReaching(process), own(reachingWord)),
      bus.onNotify(own(roomWord), payload => {
        const [by = '', word] = text(payload).split(' ')
        listener.onRoom(by, word === 'made')
      }),
      bus.onNotify(own(heardWord), payload => {
        const [kind = '', fullJid = ''] = split(text(payload))
        listener.onHeard(fullJid, kind === 'presence')
      }),
    ]
  }

  /** Passes a stanza on that is another frontend's; true when it did. */
  forward(stanza: Element): boolean {
    const owner = this.#ownerOf(stanza)
    if (owner === undefined) return false
    const { bus, instance, metrics } = this.#options
    metrics.forwarded.inc()
    bus.notify(processTopic(instance, owner, stanzaWord), Buffer.from(toXml(stanza)))
    return true
  }

  /** Has a stanza written by another frontend. */
  write(process: string, xml: string): void {
    const { bus, instance } = this.#options
    bus.notify(processTopic(instance, process, writeWord), Buffer.from(xml))
  }

  /** Asks `to` to connect; the others leave the component to it for a while. */
  askToTakeOver(to: string): void {
    const { bus, instance } = this.#options
    bus.notify(instanceTopic(instance, takeOverWord), Buffer.from(`${bus.processId} ${to}`))
  }

  /** Says that this process is about to connect, is about to end its connection, or has ended it. */
  tell(what: typeof joiningWord | typeof leavingWord | typeof leftWord): void {
    const { bus, instance } = this.#options
    bus.notify(instanceTopic(instance, what), Buffer.from(bus.processId))
  }

  /** Tells `to` that this process holds no connection any more in its place; `isMade`: it has ended one. */
  tellRoom(to: string, isMade: boolean): void {
    const { bus, instance } = this.#options
    bus.notify(processTopic(instance, to, roomWord), Buffer.from(`${bus.processId} ${isMade ? 'made' : 'none'}`))
  }

  /** Tells `to`, which has the component and no way to the XMPP server, that this process has one. */
  tellReaching(to: string): void {
    const { bus, instance } = this.#options
    bus.notify(processTopic(instance, to, reachingWord), Buffer.from(bus.processId))
  }

  /** A resource spoke: who tells its events, where that is another, knows from this that it is there. */
  tellHeard(user: string, fullJid: string, isPresence: boolean): void {
    const { bus, instance, tellerOf } = this.#options
    const teller = tellerOf(user)
    if (teller === undefined) return
    const now = performance.now()
    if (now > this.#heardUntil) {
      this.#heard.clear()
      this.#heardUntil = now + heardMs
    }
    if (!isPresence && this.#heard.has(fullJid)) return
    this.#heard.add(fullJid)
    const kind = isPresence ? 'presence' : 'other'
    bus.notify(processTopic(instance, teller, heardWord), Buffer.from(`${kind} ${fullJid}`))
  }

  [Symbol.dispose](): void {
    for (const subscription of this.#subscriptions) subscription[Symbol.dispose]()
  }

  /** Of each other frontend that says so of itself. */
  #onProcess(
    word: string,
    listener: (process: string) => void,
    topic = instanceTopic(this.#options.instance, word),
  ): Disposable {
    const { bus, metrics, log } = this.#options
    return bus.onNotify(topic, payload => {
      const process = text(payload)
      if (process === bus.processId) return
      if (processName.test(process)) return listener(process)
      log.warn({ word, bytes: payload.length }, 'what another frontend says names no process')
      metrics.dropped.inc({ kind: 'notification', reason: 'forwarded-unreadable' })
    })
  }

  #ownerOf(stanza: Element): string | undefined {
    const { attrs, name } = stanza
    if (name === 'iq') {
      // An answer is to who asked; a barrier that comes back as it is, is from there.
      const isAnswer = attrs.type === 'result' || attrs.type === 'error'
      return this.#processOf(String((isAnswer ? attrs.to : attrs.from) ?? ''))
    }
    if (name !== 'message' || attrs.type !== 'error') return undefined
    const [user = ''] = String(attrs.from ?? '').split('/')
    return this.#options.tellerOf(user)
  }

  #processOf(jid: string): string | undefined {
    const { domain, bus } = this.#options
    if (!jid.startsWith(`${domain}/`)) return undefined
    const process = jid.slice(domain.length + 1)
    if (process === bus.processId) return undefined
    return bus.owners.processes('frontend').some(peer => peer.process === process) ? process : undefined
  }

  #parse(payload: Uint8Array, isWanted: (stanza: Element) => unknown = () => true): Element | undefined {
    // What is larger no frontend reads from a server.
    const element = payload.length > 2 * this.#options.maxStanzaBytes ? undefined : parseElement(text(payload))
    if (element !== undefined && stanzaNames.has(element.name) && isWanted(element)) return element
    this.#options.log.warn({ bytes: payload.length }, 'what another frontend passed on is no stanza')
    this.#options.metrics.dropped.inc({ kind: 'stanza', reason: 'forwarded-unreadable' })
    return undefined
  }
}

const hostOf = (jid: string): string => bareOf(jid).split('@').at(-1) ?? ''

const processName = /^frontend-[\w.-]{1,200}$/
const stanzaNames: ReadonlySet<string> = new Set(['message', 'presence', 'iq'])

/** The word before the first space, and what follows: a resource may have spaces in it. */
const split = (line: string): [string, string] => [line.slice(0, line.indexOf(' ')), line.slice(line.indexOf(' ') + 1)]

const text = (payload: Uint8Array): string => Buffer.from(payload).toString('utf8')
