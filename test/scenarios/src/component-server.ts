import { createHash, randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net'
import { matches, type Pattern, waitUntil } from '@spectrum/stack'
import { Element } from 'ltx'
import SaxParser from 'ltx/src/parsers/ltx.js'
import type { Stanza } from './muc.ts'

/** What no XML document may contain (XML 1.0 section 2.2). */
const illegal = /[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\u{10000}-\u{10ffff}]/u

interface SaxEvents {
  on(event: 'startElement', listener: (name: string, attrs: Record<string, string>) => void): void
  on(event: 'endElement' | 'text', listener: (value: string) => void): void
  write(data: string): void
}

// Its type declarations forget that it is a class.
const Sax = SaxParser as unknown as new () => SaxEvents

/**
 * The XMPP server's side of XEP-0114, so that a test can say to the gateway whatever no honest server would let pass.
 * Routes what the gateway sends to itself back to it, as servers do; keeps everything else.
 */
export class ComponentServer implements AsyncDisposable {
  readonly jid: string
  /** What the gateway wrote to others than itself. */
  readonly stanzas: Element[] = []
  /** How many streams got through the handshake. */
  connections = 0
  /** What the gateway wrote that no XML parser would take. */
  readonly unreadable: string[] = []
  readonly #secret: string
  readonly #server: Server
  #unread: Element[] = []
  #live: Socket | undefined
  readonly #sockets = new Set<Socket>()

  private constructor(jid: string, secret: string) {
    this.jid = jid
    this.#secret = secret
    this.#server = createServer(socket => this.#accept(socket))
  }

  static async start(jid: string, secret: string): Promise<ComponentServer> {
    const server = new ComponentServer(jid, secret)
    server.#server.listen(0, '127.0.0.1')
    await once(server.#server, 'listening')
    return server
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port
  }

  get isConnected(): boolean {
    return this.#live !== undefined
  }

  /** Writes bytes to the gateway as they are. */
  sends(data: string | Buffer): void {
    if (this.#live === undefined) throw new Error('the gateway is not connected')
    this.#live.write(data)
  }

  /** The first stanza of the gateway not yet returned that contains the pattern. */
  receives(pattern: Pattern, options: { deadlineMs?: number } = {}): Promise<Stanza> {
    return waitUntil(
      () => {
        const index = this.#unread.findIndex(stanza => matches(pattern, stanza))
        return index < 0 ? undefined : this.#unread.splice(index, 1)[0]
      },
      {
        deadlineMs: options.deadlineMs ?? 20_000,
        describe: () => `the gateway did not write ${pattern}; it wrote:\n${this.#unread.slice(-30).join('\n')}`,
      },
    )
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const socket of this.#sockets) socket.destroy()
    await new Promise(resolve => this.#server.close(resolve))
  }

  #accept(socket: Socket): void {
    this.#sockets.add(socket)
    socket.setEncoding('utf8').setNoDelay()
    const id = randomBytes(8).toString('hex')
    const parser = new Sax()
    let depth = 0
    let element: Element | undefined
    parser.on('startElement', (name, attrs) => {
      if (depth++ === 0) {
        socket.write(
          `<?xml version="1.0"?><stream:stream xmlns="jabber:component:accept" xmlns:stream="http://etherx.jabber.org/streams" from="${this.jid}" id="${id}">`,
        )
        return
      }
      const child = new Element(name, attrs)
      element = element === undefined ? child : (element.cnode(child) as Element)
    })
    parser.on('text', text => element?.t(text))
    parser.on('endElement', () => {
      depth--
      const done = element
      element = (done?.parent as Element | null) ?? undefined
      if (depth === 1 && done) this.#onElement(done, id, socket)
    })
    socket.on('data', (text: string) => {
      if (illegal.test(text)) this.unreadable.push(text)
      parser.write(text)
    })
    socket.on('error', () => socket.destroy())
    socket.on('close', () => {
      this.#sockets.delete(socket)
      if (this.#live === socket) this.#live = undefined
    })
  }

  #onElement(element: Element, id: string, socket: Socket): void {
    if (element.name === 'handshake') {
      const expected = createHash('sha1').update(`${id}${this.#secret}`).digest('hex')
      if (element.getText() !== expected) return void socket.destroy()
      socket.write('<handshake/>')
      this.#live = socket
      this.connections++
      return
    }
    // Its own domain is the component's business.
    if (element.attrs.to === this.jid || String(element.attrs.to).startsWith(`${this.jid}/`)) {
      socket.write(element.toString())
      return
    }
    this.stanzas.push(element)
    this.#unread.push(element)
  }
}
