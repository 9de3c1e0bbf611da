import { connect, type Socket } from 'node:net'

/** A line from the IRC server, cut where the load needs it. */
export interface IrcLine {
  /** The nick before `!`, or the server's name; empty when the line has no source. */
  readonly nick: string
  readonly command: string
  /** Everything after the command. */
  readonly rest: string
}

/** Registered with the server, or why not, within this time. */
const loginMs = 30_000

/** A plain IRC client with nothing between the socket and its listener: hundreds of lines a second cost next to nothing. */
export class IrcPeer implements AsyncDisposable {
  readonly nick: string
  readonly #socket: Socket
  readonly #onLine: (line: IrcLine, at: number) => void
  #rest = ''

  private constructor(nick: string, socket: Socket, onLine: (line: IrcLine, at: number) => void) {
    this.nick = nick
    this.#socket = socket
    this.#onLine = onLine
    socket.setEncoding('utf8').setNoDelay()
    socket.on('data', (chunk: string) => this.#read(chunk))
    // Its end is noticed by whoever misses the lines.
    socket.on('error', () => socket.destroy())
  }

  /** Connects, registers under the nick and joins the channel. */
  static async connect(options: {
    port: number
    nick: string
    channel?: string
    onLine: (line: IrcLine, at: number) => void
  }): Promise<IrcPeer> {
    const { port, nick, channel, onLine } = options
    const { promise, resolve } = Promise.withResolvers<void>()
    const last = channel === undefined ? ['376', '422'] : ['366']
    const peer = new IrcPeer(nick, connect({ port, host: '127.0.0.1' }), (line, at) => {
      if (channel !== undefined && (line.command === '376' || line.command === '422')) peer.send(`JOIN ${channel}`)
      if (last.includes(line.command)) resolve()
      onLine(line, at)
    })
    peer.send(`NICK ${nick}`, `USER ${nick} 0 * :${nick}`)
    const timer = setTimeout(() => peer.#socket.destroy(), loginMs)
    const closed = closeOf(peer.#socket).then(() => {
      throw new Error(`${nick} was not let in by the IRC server within ${loginMs / 1000} s`)
    })
    try {
      await Promise.race([promise, closed])
      closed.catch(() => undefined)
      return peer
    } finally {
      clearTimeout(timer)
    }
  }

  get isOpen(): boolean {
    return !this.#socket.destroyed
  }

  send(...lines: string[]): void {
    this.#socket.write(`${lines.join('\r\n')}\r\n`)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#socket.destroyed) return
    const closed = closeOf(this.#socket)
    this.#socket.destroy()
    await closed
  }

  #read(chunk: string): void {
    const at = performance.now()
    const lines = (this.#rest + chunk).split('\n')
    this.#rest = lines.pop() ?? ''
    for (const text of lines) {
      const line = parse(text.endsWith('\r') ? text.slice(0, -1) : text)
      if (line.command === 'PING') this.send(`PONG ${line.rest}`)
      else this.#onLine(line, at)
    }
  }
}

function parse(text: string): IrcLine {
  let at = 0
  if (text.charCodeAt(0) === 0x40) at = text.indexOf(' ') + 1
  let nick = ''
  if (text.charCodeAt(at) === 0x3a) {
    const end = text.indexOf(' ', at)
    const source = text.slice(at + 1, end)
    const bang = source.indexOf('!')
    nick = bang < 0 ? source : source.slice(0, bang)
    at = end + 1
  }
  const end = text.indexOf(' ', at)
  return end < 0
    ? { nick, command: text.slice(at), rest: '' }
    : { nick, command: text.slice(at, end), rest: text.slice(end + 1) }
}

/** Fulfils when the connection is over, also by an error: `events.once` would reject then. */
function closeOf(socket: Socket): Promise<void> {
  return new Promise(resolve => socket.once('close', () => resolve()))
}
