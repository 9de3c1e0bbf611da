import { once } from 'node:events'
import { connect, createServer, type Server, type Socket } from 'node:net'
import { freePort } from '@spectrum/stack'

/** Told of the bytes that pass, as text; connections are numbered. */
export type Tap = (direction: 'forth' | 'back', chunk: string, connection: number) => void

type Pair = readonly [Socket, Socket]

/** A TCP connection between two of our processes that can be cut: silently, as a lost network does, or by a reset. */
export class TcpProxy implements AsyncDisposable {
  readonly port: number
  /** When connections that had carried something ended, by either side or by {@link reset}. */
  readonly endings: { readonly connection: number; readonly at: number }[] = []
  readonly #server: Server
  readonly #pairs = new Set<Pair>()
  #isCut = false
  #connections = 0

  private constructor(port: number, server: Server) {
    this.port = port
    this.#server = server
  }

  /** Listens on loopback and connects each who comes with `target`. */
  static async start(target: number, tap?: Tap): Promise<TcpProxy> {
    const server = createServer()
    const proxy = new TcpProxy(await freePort(), server)
    server.on('connection', socket => proxy.#onConnection(socket, target, tap))
    server.listen(proxy.port, '127.0.0.1')
    await once(server, 'listening')
    return proxy
  }

  /** From now on nothing passes, either way, and nobody is told. New connections are taken and lead nowhere. */
  cut(): void {
    this.#isCut = true
    for (const pair of this.#pairs) for (const socket of pair) socket.pause()
  }

  /** Everything passes again, what was held back first. */
  heal(): void {
    this.#isCut = false
    for (const pair of this.#pairs) for (const socket of pair) socket.resume()
  }

  /** Ends every connection by a reset, both ways. */
  reset(): void {
    for (const pair of this.#pairs) for (const socket of pair) socket.resetAndDestroy()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const pair of this.#pairs) for (const socket of pair) socket.destroy()
    this.#server.close()
  }

  #onConnection(near: Socket, target: number, tap?: Tap): void {
    const far = connect({ port: target, host: '127.0.0.1' })
    const pair = [near, far] as const
    this.#pairs.add(pair)
    const connection = ++this.#connections
    this.#join([near, far], pair, connection, chunk => tap?.('forth', chunk.toString('latin1'), connection))
    this.#join([far, near], pair, connection, chunk => tap?.('back', chunk.toString('latin1'), connection))
    if (this.#isCut) for (const socket of pair) socket.pause()
  }

  #join([from, to]: Pair, pair: Pair, connection: number, onData: (chunk: Buffer) => void): void {
    from.setNoDelay()
    from.on('data', (chunk: Buffer) => {
      onData(chunk)
      if (!to.write(chunk)) from.pause()
    })
    to.on('drain', () => {
      if (!this.#isCut) from.resume()
    })
    from.on('end', () => {
      // Of an end, too, nothing is heard through a cut line.
      if (!this.#isCut) to.end()
    })
    from.on('error', () => to.destroy())
    from.on('close', () => {
      if (this.#pairs.delete(pair) && to.bytesRead > 0) this.endings.push({ connection, at: performance.now() })
      // What has passed already still arrives.
      if (!this.#isCut) to.destroySoon()
    })
  }
}
