import { connect, type Socket } from 'node:net'
import { Element, escapeXML } from 'ltx'
import SaxParser from 'ltx/src/parsers/ltx.js'
import { waitUntil } from './wait-until.ts'
import { matches, type Pattern } from './xml.ts'

/** How to log in to an XMPP server on loopback. */
export interface XmppClientOptions {
  port: number
  domain: string
  name: string
  password: string
  /** Chosen by the server when left out. */
  resource?: string
  /** Sends `<presence/>` after login, as any client does; true by default. */
  isAvailable?: boolean
}

/** The server refused the login or closed the stream. */
export class XmppClientError extends Error {
  override name = 'XmppClientError'
}

/**
 * A small XMPP client for tests and the playground, on a socket without TLS: sends XML as it is given, keeps every
 * stanza that arrives and waits for one that matches. Answers XEP-0199 pings by itself, and disco#info with nothing.
 */
export class XmppClient implements AsyncDisposable {
  /** Every stanza that has arrived. */
  readonly stanzas: Element[] = []
  /** The bare JID. */
  readonly bareJid: string
  #jid = ''
  #socket: Socket
  #unread: Element[] = []
  #error: string | undefined
  #ids = 0
  #parser: { write(data: string): void } = { write: () => undefined }

  private constructor(options: XmppClientOptions) {
    this.bareJid = `${options.name}@${options.domain}`
    this.#socket = connect({ port: options.port, host: '127.0.0.1' })
    this.#socket.setEncoding('utf8').setNoDelay()
    this.#socket.on('data', (chunk: string) => this.#parser.write(chunk))
    this.#socket.on('error', error => {
      this.#error ??= error.message
    })
    this.#socket.on('close', () => {
      this.#error ??= 'the stream was closed'
    })
  }

  /** Connects, authenticates with SASL PLAIN, binds the resource and becomes available. */
  static async connect(options: XmppClientOptions): Promise<XmppClient> {
    const client = new XmppClient(options)
    try {
      await client.#login(options)
      return client
    } catch (error) {
      client.#socket.destroy()
      throw error
    }
  }

  /** The full JID. */
  get jid(): string {
    return this.#jid
  }

  /** Why the stream ended; undefined while it is open. */
  get closed(): string | undefined {
    return this.#error
  }

  /** Sends XML as it is, not even checked for being well-formed. */
  sends(text: string): void {
    this.#socket.write(text)
  }

  /** Sends an iq with a fresh id and returns the answer, a result or an error. */
  async request(type: 'get' | 'set', to: string | undefined, payload: string, deadlineMs?: number): Promise<Element> {
    const id = `q${++this.#ids}`
    const address = to === undefined ? '' : ` to="${escapeXML(to)}"`
    this.sends(`<iq type="${type}" id="${id}"${address}>${payload}</iq>`)
    const isAnswer = (stanza: Element) =>
      stanza.getName() === 'iq' &&
      stanza.attrs.id === id &&
      (stanza.attrs.type === 'result' || stanza.attrs.type === 'error')
    return this.receives(isAnswer, deadlineMs === undefined ? {} : { deadlineMs })
  }

  /**
   * The first stanza not yet returned that contains the pattern (see {@link matches}); it is then taken, others stay for
   * later. Throws with what did arrive when there is none within `deadlineMs` (10 s by default).
   */
  receives(pattern: Pattern, options: { deadlineMs?: number } = {}): Promise<Element> {
    return waitUntil(
      () => {
        const index = this.#unread.findIndex(stanza => matches(pattern, stanza))
        if (index >= 0) return this.#unread.splice(index, 1)[0]
        if (this.#error !== undefined)
          throw new XmppClientError(`${this.bareJid}: ${this.#error}; ${this.#arrived(pattern)}`)
        return undefined
      },
      { deadlineMs: options.deadlineMs ?? 10_000, everyMs: 5, describe: () => this.#arrived(pattern) },
    )
  }

  /**
   * Receives stanzas that match the patterns in this order, others may come in between.
   * Throws when one does not come after the one before it.
   */
  async receivesInOrder(patterns: readonly Pattern[], options: { deadlineMs?: number } = {}): Promise<Element[]> {
    const found: Element[] = []
    let position = -1
    for (const pattern of patterns) {
      const stanza = await this.receives(
        candidate => this.stanzas.indexOf(candidate) > position && matches(pattern, candidate),
        options,
      )
      position = this.stanzas.indexOf(stanza)
      found.push(stanza)
    }
    return found
  }

  /** Forgets what has arrived and was not asked for. */
  forget(): void {
    this.#unread = []
  }

  /** Stanzas that have arrived and nobody asked for yet. */
  get unread(): readonly Element[] {
    return this.#unread
  }

  /** Cuts the connection without a word, as a lost network does. */
  cut(): void {
    this.#socket.destroy()
  }

  /** Closes the stream. */
  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#socket.destroyed) return
    const closed = new Promise(resolve => this.#socket.once('close', resolve))
    this.#socket.end('</stream:stream>')
    const timer = setTimeout(() => this.#socket.destroy(), 2000)
    await closed
    clearTimeout(timer)
  }

  async #login(options: XmppClientOptions): Promise<void> {
    const { name, password, domain, resource, isAvailable = true } = options
    const features = (stanza: Element) => stanza.getName() === 'features'
    this.#open(domain)
    await this.receives(features)
    const plain = Buffer.from(`\0${name}\0${password}`).toString('base64')
    this.sends(`<auth xmlns="urn:ietf:params:xml:ns:xmpp-sasl" mechanism="PLAIN">${plain}</auth>`)
    const answer = await this.receives(stanza => ['success', 'failure'].includes(stanza.getName()))
    if (answer.getName() === 'failure') throw new XmppClientError(`${this.bareJid}: login refused: ${answer}`)
    this.#open(domain)
    await this.receives(features)
    const wanted = resource === undefined ? '' : `<resource>${escapeXML(resource)}</resource>`
    const bound = await this.request(
      'set',
      undefined,
      `<bind xmlns="urn:ietf:params:xml:ns:xmpp-bind">${wanted}</bind>`,
    )
    this.#jid = bound.getChild('bind')?.getChildText('jid') ?? ''
    if (this.#jid === '') throw new XmppClientError(`${this.bareJid}: no resource was bound: ${bound}`)
    this.forget()
    if (isAvailable) this.sends('<presence/>')
  }

  #open(domain: string): void {
    const parser = new SaxParser()
    let element: Element | undefined
    let depth = 0
    parser.on('startElement', (name, attrs) => {
      // The stream's own element is not kept: the stanzas of hours would hang on it.
      if (depth++ === 0) return
      const child = new Element(name, attrs)
      if (depth === 2) child.attrs.xmlns ??= 'jabber:client'
      element = element === undefined ? child : element.cnode(child)
    })
    parser.on('text', text => element?.t(text))
    parser.on('endElement', () => {
      depth--
      const done = element
      element = done?.parent ?? undefined
      if (depth === 1 && done) this.#onStanza(done)
    })
    parser.on('error', error => {
      this.#error ??= `unreadable XML: ${error.message}`
    })
    this.#parser = parser
    this.sends(
      `<?xml version="1.0"?><stream:stream to="${escapeXML(domain)}" version="1.0" xmlns="jabber:client" xmlns:stream="http://etherx.jabber.org/streams">`,
    )
  }

  #onStanza(stanza: Element): void {
    this.stanzas.push(stanza)
    this.#unread.push(stanza)
    if (stanza.getName() === 'error') this.#error ??= `stream error ${stanza}`
    if (stanza.getName() !== 'iq' || stanza.attrs.type !== 'get') return
    const { from, id } = stanza.attrs
    const address = `${from === undefined ? '' : ` to="${escapeXML(from)}"`} id="${escapeXML(id ?? '')}"`
    const query = stanza.getChild('query')
    if (stanza.getChild('ping')) this.sends(`<iq type="result"${address}/>`)
    else if (query?.getNS() === 'http://jabber.org/protocol/disco#info')
      this.sends(`<iq type="result"${address}><query xmlns="http://jabber.org/protocol/disco#info"/></iq>`)
    else
      this.sends(
        `<iq type="error"${address}><error type="cancel"><service-unavailable xmlns="urn:ietf:params:xml:ns:xmpp-stanzas"/></error></iq>`,
      )
  }

  #arrived(pattern: Pattern): string {
    const list = this.#unread.slice(-40).map(stanza => stanza.toString())
    return `${this.bareJid} did not receive ${pattern}; arrived: ${list.length === 0 ? 'nothing' : `\n${list.join('\n')}`}`
  }
}
