import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net'

/** Stands between a frontend and the XMPP server, to break their connections or to keep the server from hearing of an end. */
export class TcpProxy implements AsyncDisposable {
  readonly port: number
  readonly #server: Server
  readonly #pairs = new Set<readonly [Socket, Socket]>()
  #isDeaf = false

  private constructor(server: Server) {
    this.#server = server
    this.port = (server.address() as AddressInfo).port
  }

  /** @param port - to listen on; a free one by default */
  static async start(target: number, port = 0): Promise<TcpProxy> {
    const server = createServer()
    server.listen(port, '127.0.0.1')
    await once(server, 'listening')
    const proxy = new TcpProxy(server)
    server.on('connection', near => {
      const far = connect({ port: target, host: '127.0.0.1' })
      const pair = [near, far] as const
      proxy.#pairs.add(pair)
      for (const [from, to] of [
        [near, far],
        [far, near],
      ] as const) {
        from.on('data', chunk => to.write(chunk))
        from.on('error', () => from.destroy())
        from.on('close', () => {
          if (proxy.#isDeaf) return
          proxy.#pairs.delete(pair)
          to.destroy()
        })
      }
    })
    return proxy
  }

  /** Resets every connection, both ways. */
  reset(): void {
    for (const pair of this.#pairs) for (const socket of pair) socket.resetAndDestroy()
    this.#pairs.clear()
  }

  /** While true, the end of one side is not told to the other: a machine that lost its power says nothing. */
  deaf(isDeaf: boolean): void {
    this.#isDeaf = isDeaf
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#isDeaf = false
    this.reset()
    const closed = once(this.#server, 'close')
    this.#server.close()
    await closed
  }
}
