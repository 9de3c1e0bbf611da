import { connect, type Socket } from 'node:net'
import { setTimeout as delay } from 'node:timers/promises'
import { RoomView } from './room-view.ts'
import { attribute, StanzaSplitter } from './stanza-splitter.ts'

export interface XmppPeerOptions {
  readonly port: number
  readonly domain: string
  readonly name: string
  readonly password: string
  /** The gateway, and the room that is joined under the own name. */
  readonly gateway: string
  readonly room: string
  /** A message with its whole text. */
  readonly onMessage: (text: string, at: number) => void
  /** Told out of the room, though it did not ask for that. */
  readonly onRemoved: (text: string) => void
  /** Told that an occupant came to the room or left it, while it is itself in there. */
  readonly onOccupant: (kind: 'join' | 'leave', nick: string, at: number) => void
  /** A message of ours that the own server never confirmed, after a stream that could not be resumed. */
  readonly onUnconfirmed: (id: string) => void
}

const sm = 'urn:xmpp:sm:3'
const retryMs = 250
const rejoinMs = 1000
const stepMs = 75_000
const unansweredMs = 10_000
/** For what the own server answers by itself: one that is being stopped may take a connection and never answer on it. */
const serverStepMs = 10_000

/**
 * An XMPP client that stays in one room at the gateway: reads only what the load needs, keeps stream management (XEP-0198),
 * and after a lost connection resumes, or logs in anew and joins again.
 */
export class XmppPeer implements AsyncDisposable {
  readonly name: string
  /** How often a stream was resumed, and how often it had to be begun anew. */
  readonly counts = { resumed: 0, anew: 0 }
  readonly #options: XmppPeerOptions
  readonly #splitter: StanzaSplitter
  readonly #stopping = new AbortController()
  readonly #view: RoomView
  #socket: Socket | undefined
  #waiting: { asked: string; wanted: (text: string) => boolean; resolve: (text: string) => void } | undefined
  #stream: { id: string; received: number } | undefined
  /** Stanzas that the server has not confirmed, oldest first, and how many it has confirmed before. */
  #unacknowledged: string[] = []
  #acknowledged = 0
  #isJoined = false
  #isRegistered = false
  #trouble = 'never any trouble'
  #lastText = ''
  #running: Promise<void> | undefined

  constructor(options: XmppPeerOptions) {
    this.#options = options
    this.name = options.name
    this.#splitter = new StanzaSplitter(text => this.#onText(text))
    this.#view = new RoomView(options.room, options.onOccupant)
  }

  /** How it fares, for a message about somebody who is silent. */
  get state(): string {
    const { resumed, anew } = this.counts
    const waiting = this.#waiting === undefined ? '' : `, waits for an answer to ${this.#waiting.asked.slice(0, 160)}`
    const socket = this.#socket?.destroyed ? 'closed' : 'open'
    return `${this.#isJoined ? 'joined' : 'not joined'}, socket ${socket}, ${resumed} times resumed, ${anew} times anew${waiting}; ${this.#trouble}`
  }

  /** Connected to the own server and in the room, as far as it knows. */
  get isJoined(): boolean {
    return this.#isJoined
  }

  /** Registers with the gateway, logs in and joins; fulfils in the room, and keeps it up from then on. */
  async start(options: { isRegistered?: boolean } = {}): Promise<void> {
    this.#isRegistered = options.isRegistered ?? false
    await this.#connect()
    this.#running = this.#keepUp()
  }

  /** Sends a chat message of any text. */
  say(to: string, id: string, text: string): void {
    this.#send(`<message to="${to}" type="chat" id="${id}"><body>${text}</body></message>`)
  }

  /** Sends a line of the load; only while {@link isJoined}. */
  sendMessage(to: string, type: 'chat' | 'groupchat', id: string, padding = ''): void {
    this.#send(`<message to="${to}" type="${type}" id="${id}"><body>${id}${padding}</body></message>`)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stopping.abort()
    const socket = this.#socket
    if (socket && !socket.destroyed) {
      // An orderly end: a stream that breaks is kept by the server to be resumed.
      const closed = closeOf(socket)
      const timer = setTimeout(() => socket.destroy(), 1000)
      socket.end('<presence type="unavailable"/></stream:stream>')
      await closed
      clearTimeout(timer)
    }
    await this.#running
  }

  async #keepUp(): Promise<void> {
    const { signal } = this.#stopping
    while (!signal.aborted) {
      if (this.#socket && !this.#socket.destroyed) await closeOf(this.#socket)
      while (!signal.aborted)
        try {
          await this.#connect()
          break
        } catch (error) {
          // The server is away, or not up yet: that is what many of the faults are.
          this.#trouble = (error as Error).message
          await delay(retryMs, undefined, { signal }).catch(() => undefined)
        }
    }
  }

  async #connect(): Promise<void> {
    const { port, domain, name, password } = this.#options
    this.#socket?.destroy()
    this.#splitter.reset()
    const socket = connect({ port, host: '127.0.0.1' })
    this.#socket = socket
    socket.setEncoding('utf8').setNoDelay()
    socket.on('data', (chunk: string) => {
      if (socket === this.#socket) this.#splitter.write(chunk)
    })
    socket.on('error', () => socket.destroy())
    socket.once('close', () => {
      if (socket === this.#socket) this.#isJoined = false
    })
    try {
      const header = `<?xml version="1.0"?><stream:stream to="${domain}" version="1.0" xmlns="jabber:client" xmlns:stream="http://etherx.jabber.org/streams">`
      const plain = Buffer.from(`\0${name}\0${password}`).toString('base64')
      const hasFeatures = (text: string): boolean => text.startsWith('<stream:features')
      const auth = `<auth xmlns="urn:ietf:params:xml:ns:xmpp-sasl" mechanism="PLAIN">${plain}</auth>`
      await this.#ask(header, hasFeatures, serverStepMs)
      await this.#ask(auth, text => text.startsWith('<success'), serverStepMs)
      await this.#ask(header, hasFeatures, serverStepMs)
      if (this.#stream !== undefined && (await this.#resume(this.#stream))) return
      await this.#begin()
    } catch (error) {
      socket.destroy()
      throw error
    }
  }

  async #resume(stream: { id: string; received: number }): Promise<boolean> {
    const answer = await this.#ask(
      `<resume xmlns="${sm}" previd="${stream.id}" h="${stream.received}"/>`,
      text => text.startsWith('<resumed') || text.startsWith('<failed'),
    )
    // A server that still knows the stream says in either case how much it took.
    const taken = attribute(answer, 'h')
    if (taken !== undefined) this.#onAcknowledged(Number(taken))
    if (answer.startsWith('<failed')) {
      for (const text of this.#unacknowledged)
        if (text.startsWith('<message')) this.#options.onUnconfirmed(attribute(text, 'id') ?? '')
      return false
    }
    this.counts.resumed++
    this.#socket?.write(this.#unacknowledged.join(''))
    this.#isJoined = true
    return true
  }

  async #begin(): Promise<void> {
    const { gateway, room, name } = this.#options
    if (this.#stream !== undefined) this.counts.anew++
    this.#stream = undefined
    this.#unacknowledged = []
    this.#acknowledged = 0
    await this.#ask(
      '<iq type="set" id="bind"><bind xmlns="urn:ietf:params:xml:ns:xmpp-bind"><resource>phone</resource></bind></iq>',
      text => text.startsWith('<iq') && attribute(text, 'id') === 'bind' && attribute(text, 'type') === 'result',
    )
    await this.#ask(`<enable xmlns="${sm}" resume="true"/>`, text => text.startsWith('<enabled'))
    if (!this.#isRegistered) {
      await this.#ask(
        `<iq type="set" id="register" to="${gateway}"><query xmlns="jabber:iq:register"><username>${name}</username><password/></query></iq>`,
        text => text.startsWith('<iq') && attribute(text, 'id') === 'register' && attribute(text, 'type') === 'result',
      )
      this.#isRegistered = true
    }
    const isFromGateway = (text: string): boolean => attribute(text, 'from')?.split('/')[0] === gateway
    await this.#insist(`<presence/><presence to="${gateway}"/>`, isFromGateway)
    await this.#insist(this.#joining(), text => isOwn(text, room) || attribute(text, 'from') === `${room}/${name}`)
    this.#isJoined = true
  }

  /**
   * Sends presence again and again while it is answered by an error, or not at all: the gateway may come back later than the
   * server, and ejabberd drops in silence what is for a connection of a component that is not back when another is.
   */
  async #insist(presence: string, isAnswer: (text: string) => boolean): Promise<void> {
    const timer = setInterval(() => this.#send(presence), unansweredMs)
    try {
      for (;;) {
        const answer = await this.#ask(
          presence,
          text => text.startsWith('<presence') && attribute(text, 'type') !== 'unavailable' && isAnswer(text),
        )
        if (attribute(answer, 'type') !== 'error') return
        await delay(retryMs)
      }
    } finally {
      clearInterval(timer)
    }
  }

  #joining(): string {
    const { room, name } = this.#options
    this.#view.enter()
    return `<presence to="${room}/${name}"><x xmlns="http://jabber.org/protocol/muc"><history maxstanzas="0"/></x></presence>`
  }

  /** Sends something and waits for what it asks for. */
  #ask(text: string, wanted: (text: string) => boolean, withinMs = stepMs): Promise<string> {
    const { promise, resolve, reject } = Promise.withResolvers<string>()
    const socket = this.#socket
    const fail = (): void =>
      reject(
        new Error(
          `${this.name} came no further than ${text.slice(0, 60)}; the last it was told: ${this.#lastText.slice(-400)}`,
        ),
      )
    // A connection that is over already will not tell so again.
    if (socket === undefined || socket.destroyed) fail()
    const timer = setTimeout(() => {
      socket?.destroy()
      fail()
    }, withinMs)
    socket?.once('close', fail)
    this.#waiting = { asked: text, wanted, resolve }
    this.#send(text)
    return promise.finally(() => {
      clearTimeout(timer)
      socket?.off('close', fail)
      this.#waiting = undefined
    })
  }

  #send(text: string): void {
    if (this.#stream !== undefined)
      for (const stanza of text.split(/(?<=\/>)(?=<presence)/)) if (isStanza(stanza)) this.#unacknowledged.push(stanza)
    // An answer to the request tells how much of it was taken; one in 16 is asked for.
    // Before a login nothing else may be said.
    const isTime =
      this.#stream !== undefined && isStanza(text) && (this.#acknowledged + this.#unacknowledged.length) % 16 === 0
    if (this.#socket?.writable) this.#socket.write(isTime ? `${text}<r xmlns="${sm}"/>` : text)
  }

  #onText(text: string): void {
    const at = performance.now()
    this.#lastText = `${this.#lastText.slice(-300)}${text}`
    if (isStanza(text)) {
      if (this.#stream !== undefined) this.#stream.received++
      if (text.startsWith('<message')) this.#options.onMessage(text, at)
      else if (text.startsWith('<presence')) this.#onPresence(text, at)
      else if (attribute(text, 'type') === 'get') this.#answer(text)
    } else if (text.startsWith('<enabled')) this.#stream = { id: attribute(text, 'id') ?? '', received: 0 }
    else if (text.startsWith('<r ') || text.startsWith('<r/'))
      this.#write(`<a xmlns="${sm}" h="${this.#stream?.received ?? 0}"/>`)
    else if (text.startsWith('<a ')) this.#onAcknowledged(Number(attribute(text, 'h')))
    else if (text.startsWith('<stream:error') || text === '</stream:stream>') this.#socket?.destroy()
    else if (text.startsWith('<failure')) this.#socket?.destroy()
    if (this.#waiting?.wanted(text)) this.#waiting.resolve(text)
  }

  #onPresence(text: string, at: number): void {
    this.#view.onPresence(text, at)
    if (!isOwn(text, this.#options.room)) return
    if (attribute(text, 'type') === undefined) this.#isJoined = true
    // A new nick is told as leaving under the old one (XEP-0045 section 7.6).
    if (attribute(text, 'type') !== 'unavailable' || /code=["']303["']/.test(text)) return
    this.#isJoined = false
    this.#options.onRemoved(text)
    // As people do who find themselves outside.
    setTimeout(() => this.#send(this.#joining()), rejoinMs).unref()
  }

  #onAcknowledged(count: number): void {
    // Counted modulo 2^32; no run says that much.
    const more = count - this.#acknowledged
    if (more <= 0) return
    this.#acknowledged = count
    this.#unacknowledged.splice(0, more)
  }

  #answer(text: string): void {
    const from = attribute(text, 'from')
    const address = `${from === undefined ? '' : ` to="${from}"`} id="${attribute(text, 'id') ?? ''}"`
    const disco = 'http://jabber.org/protocol/disco#info'
    if (text.includes(disco)) this.#send(`<iq type="result"${address}><query xmlns="${disco}"/></iq>`)
    else this.#send(`<iq type="result"${address}/>`)
  }

  #write(text: string): void {
    if (this.#socket?.writable) this.#socket.write(text)
  }
}

function isStanza(text: string): boolean {
  return text.startsWith('<message') || text.startsWith('<presence') || text.startsWith('<iq')
}

/** Presence of the own occupant (XEP-0045 section 7.2.2). */
function isOwn(text: string, room: string): boolean {
  const from = attribute(text, 'from')
  return text.startsWith('<presence') && from?.startsWith(`${room}/`) === true && /code=["']110["']/.test(text)
}

/** Fulfils when the connection is over, also by an error: `events.once` would reject then. */
function closeOf(socket: Socket): Promise<void> {
  return new Promise(resolve => socket.once('close', () => resolve()))
}
