import { connect, type Socket } from 'node:net'
import { waitUntil } from './wait-until.ts'

/** How to connect to an IRC server. */
export interface IrcClientOptions {
  host?: string
  port: number
  nick: string
  /** Sent as PASS. */
  password?: string
}

/** A plain IRC client for tests: sends lines, waits for lines. Answers PING by itself. */
export class IrcClient implements AsyncDisposable {
  /** Every line that has arrived, without line ends. */
  readonly lines: string[] = []
  readonly nick: string
  readonly #socket: Socket
  #read = 0
  #isClosed = false

  private constructor(socket: Socket, nick: string) {
    this.#socket = socket
    this.nick = nick
    let rest = ''
    socket.setEncoding('utf8')
    socket.on('data', (chunk: string) => {
      const parts = (rest + chunk).split(/\r?\n/)
      rest = parts.pop() ?? ''
      for (const line of parts) this.#onLine(line)
    })
    socket.on('error', error => this.lines.push(`(socket error: ${error.message})`))
    socket.on('close', () => {
      this.#isClosed = true
    })
  }

  /** Connects and registers; returns when the server has welcomed us. */
  static async connect(options: IrcClientOptions): Promise<IrcClient> {
    const { host = '127.0.0.1', port, nick, password } = options
    const client = new IrcClient(connect({ host, port }), nick)
    if (password !== undefined) client.send(`PASS ${password}`)
    client.send(`NICK ${nick}`, `USER ${nick} 0 * :${nick}`)
    await client.waitFor(/^\S+ (376|422) /, { deadlineMs: 20_000 })
    return client
  }

  get isClosed(): boolean {
    return this.#isClosed
  }

  /** Sends lines; line ends are added. */
  send(...lines: string[]): void {
    this.#socket.write(lines.map(line => `${line}\r\n`).join(''))
  }

  /** Joins a channel and waits until the list of members is complete. */
  async join(channel: string, key = ''): Promise<void> {
    this.send(`JOIN ${channel} ${key}`.trim())
    await this.waitFor(new RegExp(`^\\S+ 366 \\S+ ${escape(channel)} `, 'i'))
  }

  /** Says something in a channel or to somebody. */
  say(target: string, text: string): void {
    this.send(`PRIVMSG ${target} :${text}`)
  }

  /**
   * The next line after the last one returned that matches. Lines in between are passed over; a line is never
   * returned twice. Throws with what did arrive when there is none within `deadlineMs` (10 s by default), or the connection ended.
   */
  async waitFor(pattern: RegExp, options: { deadlineMs?: number } = {}): Promise<string> {
    const from = this.#read
    const missing = () =>
      `no line ${pattern} for ${this.nick}; arrived:\n${this.lines.slice(from).slice(-40).join('\n')}`
    return waitUntil(
      () => {
        for (let index = from; index < this.lines.length; index++) {
          const line = this.lines[index] as string
          if (!pattern.test(line)) continue
          this.#read = index + 1
          return line
        }
        if (this.#isClosed) throw new Error(`the connection is closed; ${missing()}`)
        return undefined
      },
      { deadlineMs: options.deadlineMs ?? 10_000, describe: missing },
    )
  }

  /** True when a line that matches has arrived, at any time. */
  hasSeen(pattern: RegExp): boolean {
    return this.lines.some(line => pattern.test(line))
  }

  /** Says QUIT and closes. */
  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#isClosed) return
    const closed = new Promise(resolve => this.#socket.once('close', resolve))
    this.#socket.end('QUIT\r\n')
    const timer = setTimeout(() => this.#socket.destroy(), 2000)
    await closed
    clearTimeout(timer)
  }

  #onLine(line: string): void {
    const ping = /^(?:@\S+ )?(?::\S+ )?PING (.*)$/.exec(line)
    if (ping) this.send(`PONG ${ping[1]}`)
    this.lines.push(line)
  }
}

function escape(text: string): string {
  return text.replace(/[\\^$.*+?()[\]{}|]/g, '\\$&')
}
