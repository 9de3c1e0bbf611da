import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { type AddressInfo, createServer, type Socket } from 'node:net'

const secret = 'open sesame'

/** The server's side of XEP-0114, for what no real server does on demand: garbage, silence, conflicts. */
export class UnrulyServer implements AsyncDisposable {
  readonly port: number
  readonly secret = secret
  /** One for each stream that has been accepted. */
  readonly sockets: Socket[] = []
  /** What the last stream sent after its handshake. */
  received = ''
  /** Whether handshakes are answered. */
  isMute = false
  readonly #open = new Set<Socket>()
  readonly #server

  private constructor(server: ReturnType<typeof createServer>) {
    this.#server = server
    this.port = (server.address() as AddressInfo).port
    server.on('connection', socket => this.#onConnection(socket))
  }

  /** @param port - to listen on; a free one by default */
  static async start(port = 0): Promise<UnrulyServer> {
    const server = createServer()
    server.listen(port, '127.0.0.1')
    await once(server, 'listening')
    return new UnrulyServer(server)
  }

  get last(): Socket {
    const socket = this.sockets.at(-1)
    if (socket === undefined) throw new Error('nobody has connected')
    return socket
  }

  /** Ends every connection, also of those that were never let in. */
  hangUp(): void {
    for (const socket of this.#open) socket.destroy()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const closed = once(this.#server, 'close')
    this.#server.close()
    // The end waits for each.
    this.hangUp()
    await closed
  }

  #onConnection(socket: Socket): void {
    this.#open.add(socket)
    socket.once('close', () => this.#open.delete(socket))
    const id = `stream${this.sockets.length}`
    let text = ''
    let isOpen = false
    socket.setEncoding('utf8')
    socket.on('error', () => socket.destroy())
    socket.on('data', (chunk: string) => {
      if (isOpen) {
        this.received += chunk
        return
      }
      text += chunk
      if (text.includes('<stream:stream') && !text.includes('<handshake')) {
        socket.write(
          `<?xml version='1.0'?><stream:stream xmlns:stream='http://etherx.jabber.org/streams' xmlns='jabber:component:accept' id='${id}' from='gw.localhost'>`,
        )
        return
      }
      const digest = createHash('sha1')
        .update(id + secret)
        .digest('hex')
      if (this.isMute || !text.includes(`>${digest}</handshake>`)) return
      isOpen = true
      this.received = ''
      this.sockets.push(socket)
      socket.write('<handshake/>')
    })
  }
}
