import { once } from 'node:events'
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net'

/** A TCP server that says what no IRC server should. Only for malformed and hostile lines: all else is tried on real servers. */
export class RawServer implements AsyncDisposable {
  readonly #server: Server
  readonly sockets: Socket[] = []
  readonly received: string[] = []
  /** What it says to NICK; by default a welcome without anything. */
  onNick: (nick: string, socket: Socket) => void = (nick, socket) => {
    socket.write(`:raw.example 001 ${nick} :Welcome\r\n:raw.example 376 ${nick} :End\r\n`)
  }

  /** What it says to any line besides; nothing by default. */
  onLine: (line: string, socket: Socket) => void = () => {}

  /** What it does at a QUIT; by default it closes, as servers do. */
  onQuit: (socket: Socket) => void = socket => socket.end()

  private constructor() {
    this.#server = createServer(socket => {
      this.sockets.push(socket)
      socket.on('error', error => this.received.push(`(socket error: ${error.message})`))
      socket.setEncoding('latin1')
      let rest = ''
      socket.on('data', (chunk: string) => {
        const lines = (rest + chunk).split('\r\n')
        rest = lines.pop() ?? ''
        for (const line of lines) {
          this.received.push(line)
          this.onLine(line, socket)
          if (line.startsWith('QUIT')) this.onQuit(socket)
          if (line.startsWith('NICK ')) this.onNick(line.slice(5), socket)
          const [, channel] = /^JOIN (#\S+)/.exec(line) ?? []
          if (channel)
            this.say(
              `:me!u@h JOIN ${channel}`,
              `:raw.example 353 me = ${channel} :me @boss`,
              `:raw.example 366 me ${channel} :End`,
            )
        }
      })
    })
  }

  static async start(): Promise<RawServer> {
    const raw = new RawServer()
    raw.#server.listen(0, '127.0.0.1')
    await once(raw.#server, 'listening')
    return raw
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port
  }

  /** To the latest client. */
  say(...lines: (string | Buffer)[]): void {
    for (const line of lines) this.sockets.at(-1)?.write(Buffer.concat([Buffer.from(line), Buffer.from('\r\n')]))
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const socket of this.sockets) socket.destroy()
    await new Promise(resolve => this.#server.close(resolve))
  }
}
