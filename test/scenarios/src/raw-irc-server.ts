import { once } from 'node:events'
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net'
import { waitUntil } from '@spectrum/stack'

/** A connection of one user to {@link RawIrcServer}. */
interface Peer {
  readonly socket: Socket
  nick: string
}

/**
 * An IRC server that believes everything, records every line that it gets, cut at each CR and each LF, and says
 * whatever the test wants said: for what no real server sends or lets through.
 */
export class RawIrcServer implements AsyncDisposable {
  /** Every line of every connection, without line ends. */
  readonly lines: string[] = []
  readonly #server: Server
  readonly #peers = new Map<Socket, Peer>()

  private constructor() {
    this.#server = createServer(socket => this.#accept(socket))
  }

  static async start(): Promise<RawIrcServer> {
    const server = new RawIrcServer()
    server.#server.listen(0, '127.0.0.1')
    await once(server.#server, 'listening')
    return server
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port
  }

  /** Says bytes to the user of that nick; the line end is added. */
  says(nick: string, line: string | Buffer): void {
    const peer = [...this.#peers.values()].find(each => each.nick === nick)
    if (peer === undefined) throw new Error(`${nick} is not connected`)
    peer.socket.write(Buffer.concat([Buffer.from(line), Buffer.from('\r\n')]))
  }

  isConnected(nick: string): boolean {
    return [...this.#peers.values()].some(peer => peer.nick === nick)
  }

  /** The first line from here on (`from`, an index of {@link lines}) that matches. */
  receives(pattern: RegExp, options: { from?: number; deadlineMs?: number } = {}): Promise<string> {
    const { from = 0, deadlineMs = 20_000 } = options
    return waitUntil(() => this.lines.slice(from).find(line => pattern.test(line)), {
      deadlineMs,
      describe: () => `no line ${pattern}; arrived:\n${this.lines.slice(from).slice(-40).join('\n')}`,
    })
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const socket of this.#peers.keys()) socket.destroy()
    await new Promise(resolve => this.#server.close(resolve))
  }

  #accept(socket: Socket): void {
    const peer: Peer = { socket, nick: '' }
    this.#peers.set(socket, peer)
    socket.on('error', () => socket.destroy())
    socket.on('close', () => this.#peers.delete(socket))
    // As bytes: nothing must be repaired on the way into the record.
    socket.setEncoding('latin1')
    let rest = ''
    socket.on('data', (chunk: string) => {
      const parts = (rest + chunk).split(/\r\n|\r|\n/)
      rest = parts.pop() ?? ''
      for (const part of parts) {
        const line = Buffer.from(part, 'latin1').toString('utf8')
        this.lines.push(line)
        this.#onLine(peer, line)
      }
    })
  }

  #onLine(peer: Peer, line: string): void {
    const [command = '', first = '', ...more] = line.split(' ')
    const say = (...lines: string[]) => peer.socket.write(lines.map(each => `${each}\r\n`).join(''))
    const self = `:${peer.nick}!u@h`
    switch (command.toUpperCase()) {
      case 'NICK':
        if (peer.nick !== '') say(`${self} NICK :${first}`)
        peer.nick = first.replace(/^:/, '')
        return
      case 'USER':
        return void say(`:raw.example 001 ${peer.nick} :Welcome`, `:raw.example 376 ${peer.nick} :End`)
      case 'CAP':
        return first === 'LS' ? void say('CAP * LS :') : undefined
      case 'PING':
        return void say(`:raw.example PONG raw.example ${first}`)
      case 'JOIN':
        return void say(
          `${self} JOIN ${first}`,
          `:raw.example 353 ${peer.nick} = ${first} :${peer.nick} @mercutio`,
          `:raw.example 366 ${peer.nick} ${first} :End`,
        )
      case 'MODE':
        return void say(`:raw.example 324 ${peer.nick} ${first} +n`)
      case 'TOPIC':
        return void say(`${self} TOPIC ${first} ${more.join(' ')}`)
      case 'PART':
        return void say(`${self} PART ${first}`)
      case 'QUIT':
        return void peer.socket.end('ERROR :Bye\r\n')
    }
  }
}
