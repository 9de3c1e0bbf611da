import { type ConnectTarget, type FailureCode, type Host, NetworkError, type NetworkSocket } from '@spectrum/network'
import { capabilities } from './capabilities.ts'
import { closingError, closingWords } from './closing.ts'
import type { IrcConfig } from './config.ts'
import { plainText } from './formatting.ts'
import { Isupport } from './isupport.ts'
import { type Line, nickOf, parseLine, serialiseLine } from './line.ts'
import { LineReader } from './line-reader.ts'
import { type Flusher, Outbox } from './outbox.ts'
import { Pacer } from './pacing.ts'
import { offersPlain, plainLines, saslFailure, saslFailures } from './sasl.ts'
import type { Target } from './targets.ts'
import type { Ticker } from './ticker.ts'

/** Connecting and registering together may take this long, so that a join is answered within 30 s. */
const REGISTRATION_MS = 28_000
/** How long to wait for the end of the MOTD after the welcome. */
const MOTD_MS = 5_000
const SILENCE_MS = 90_000
const PING_ANSWER_MS = 60_000
/** After QUIT the server closes; if it does not, we do. */
const QUIT_MS = 2_000
/** Many servers allow as much; those that allow less refuse or cut. */
const MAX_NICK = 30
const CRLF_BYTES = 2
/** `~` and ten characters of user, `@`, and the longest host (RFC 2812 section 2.3.1). */
const UNKNOWN_USERHOST_BYTES = 11 + 1 + 63

export interface ConnectionParts {
  readonly host: Host
  readonly config: IrcConfig
  readonly flusher: Flusher
  readonly ticker: Ticker
  readonly count: (reason: string) => void
}

/** What the connection tells its owner, in the order of the server's lines. */
export interface ConnectionOwner {
  /** Registered: the nick, ISUPPORT and capabilities are known. */
  onOnline(): void
  /** Every line after that which is not the connection's own business. */
  onLine(line: Line): void
}

/** One connection to one IRC server: registration, capabilities, keep-alive, the way in and the way out. */
export class Connection {
  readonly isupport = new Isupport()
  readonly target: Target
  /** The nick that the server knows us by. */
  nick: string
  /** Bytes of `user@host` by which the server shows us; unknown until it has. */
  userhostBytes: number | undefined
  readonly #parts: ConnectionParts
  readonly #owner: ConnectionOwner
  readonly #password: string | undefined
  readonly #wantedNick: string
  #socket: NetworkSocket | undefined
  #outbox: Outbox | undefined
  #caps: string[] = []
  #offered: string[] = []
  #sasl: 'none' | 'wanted' | 'asked' | 'sent' | 'done' = 'none'
  /** Requests for capabilities that are not answered, and what the last of them asked for. */
  #capRequests = 0
  #requested: readonly string[] = []
  #state: 'connecting' | 'registering' | 'welcomed' | 'online' | 'closing' | 'closed' = 'connecting'
  #heardAt: number
  #welcomedAt = 0
  #isPinged = false
  #lastWords = ''
  #nickTries = 0
  #failure: NetworkError | undefined
  #settle: ((error?: NetworkError) => void) | undefined

  constructor(parts: ConnectionParts, owner: ConnectionOwner, target: Target, nick: string, password?: string) {
    this.#parts = parts
    this.#owner = owner
    this.target = target
    this.nick = nick
    this.#wantedNick = nick
    this.#password = password
    this.#heardAt = parts.host.clock.monotonic()
  }

  get isOnline(): boolean {
    return this.#state === 'online'
  }

  /** QUIT is sent; the server has not closed yet. */
  get isClosing(): boolean {
    return this.#state === 'closing'
  }

  /** Whether the server has granted a capability. */
  hasCapability(name: string): boolean {
    return this.#caps.includes(name)
  }

  /** Logged in to the account by SASL: a nick service needs no password any more. */
  get isAuthenticated(): boolean {
    return this.#sasl === 'done'
  }

  get outbox(): Outbox {
    if (this.#outbox === undefined) throw new NetworkError('signed-out', 'Not connected to IRC.')
    return this.#outbox
  }

  /** Bytes that are left of a line for what follows `:nick!user@host ` when the server passes it on to others. */
  get relayedBytes(): number {
    const userhost = this.userhostBytes ?? UNKNOWN_USERHOST_BYTES
    return this.isupport.lineBytes - CRLF_BYTES - Buffer.byteLength(this.nick) - userhost - 3
  }

  /** Connects and stays; fulfils after `signal` aborts (having said QUIT), else rejects NetworkError. */
  async run(signal: AbortSignal, namedBy: ConnectTarget['namedBy']): Promise<void> {
    if (signal.aborted) return
    const attempt = new AbortController()
    const stop = (): void => attempt.abort()
    signal.addEventListener('abort', stop, { once: true })
    let timer: NodeJS.Timeout | undefined
    try {
      // Its turn to connect may take minutes to come; connecting itself has a limit of its own.
      const socket = await this.#parts.host.connect(this.#connectTarget(namedBy), attempt.signal)
      timer = setTimeout(() => this.#giveUp(attempt), REGISTRATION_MS)
      await this.#converse(socket, signal, () => clearTimeout(timer))
    } catch (error) {
      if (signal.aborted) return
      throw this.#failure ?? (attempt.signal.aborted ? this.#timeout() : NetworkError.from(error))
    } finally {
      clearTimeout(timer)
      signal.removeEventListener('abort', stop)
    }
  }

  /**
   * Sends QUIT, and reads on until the server closes, at most 2 s: what it took for the user before it read the QUIT comes
   * first. Nothing is written any more: that would meet a closed socket and cost what is still to be read.
   * {@link run} settles then.
   */
  quit(reason: string): void {
    if (this.#state === 'closed' || this.#state === 'closing') return
    const wasRegistered = this.#state === 'online' || this.#state === 'welcomed'
    this.#state = 'closing'
    if (!wasRegistered) return this.#finish()
    const over = new NetworkError('signed-out', 'The connection to IRC is being closed.')
    this.#outbox?.finish(serialiseLine('QUIT', [closingWords(reason)]), over)
    setTimeout(() => this.#finish(), QUIT_MS).unref()
  }

  #connectTarget(namedBy: ConnectTarget['namedBy']): ConnectTarget {
    const { host, port, isTls } = this.target
    const base = { host, port, namedBy, timeoutMs: REGISTRATION_MS }
    return isTls ? { ...base, tls: { verify: this.#parts.config.verifyTls } } : base
  }

  #timeout(): NetworkError {
    return new NetworkError('unreachable', `${this.target.host} did not answer in time.`)
  }

  #giveUp(attempt: AbortController): void {
    attempt.abort()
    if (this.#settle) this.#finish(this.#timeout())
  }

  #converse(socket: NetworkSocket, signal: AbortSignal, onOnline: () => void): Promise<void> {
    return new Promise((resolve, reject) => {
      const { config, host, flusher, ticker, count } = this.#parts
      this.#socket = socket
      this.#outbox = new Outbox(
        socket,
        new Pacer(host.clock, config.floodBurst, config.floodRate),
        flusher,
        config.encoding,
      )
      const tick = (): void => this.#tick()
      const stop = (): void => this.quit(typeof signal.reason === 'string' ? signal.reason : host.product.name)
      this.#settle = error => {
        ticker.delete(tick)
        signal.removeEventListener('abort', stop)
        if (error) reject(error)
        else resolve()
      }
      this.#onRegistered = onOnline
      const reader = new LineReader(text => this.#onText(text), count)
      socket.on('data', (chunk: Buffer) => {
        this.#heardAt = host.clock.monotonic()
        this.#isPinged = false
        if (this.#state !== 'closed') reader.push(chunk)
      })
      socket.on('error', (cause: Error) => this.#finish(this.#broken(cause)))
      socket.on('close', () => this.#finish(this.#broken()))
      socket.on('end', () => socket.end())
      ticker.add(tick)
      signal.addEventListener('abort', stop, { once: true })
      if (signal.aborted) stop()
      else this.#register()
    })
  }
  #onRegistered: () => void = () => {}

  #broken(cause?: Error): NetworkError {
    if (this.#failure) return this.#failure
    const words = this.#lastWords || cause?.message
    const hadPassword = this.#state === 'registering' && this.#parts.config.sendPass && this.#password !== undefined
    const { host } = this.target
    return closingError(words ? `${host}: ${words}` : `${host} closed the connection.`, hadPassword, cause)
  }

  #finish(error?: NetworkError): void {
    if (this.#state === 'closed') return
    const isWanted = this.#state === 'closing'
    this.#state = 'closed'
    const reason = error ?? new NetworkError('signed-out', 'The connection to IRC was closed.')
    this.#outbox?.close(reason)
    this.#socket?.destroy()
    this.#settle?.(isWanted ? undefined : reason)
  }

  /** Ends a connection that is of no use, with a reason of our own. */
  #fail(error: NetworkError): void {
    this.#failure = error
    this.#finish(error)
  }

  #register(): void {
    this.#state = 'registering'
    const name = this.#wantedNick
    try {
      this.#say('CAP', 'LS', '302')
      if (this.#parts.config.sendPass && this.#password) this.#say('PASS', this.#password)
      this.#say('NICK', name)
      this.#say('USER', name.replace(/[^A-Za-z0-9]/g, '').slice(0, 10) || 'user', '0', '*', name)
    } catch (error) {
      this.#fail(NetworkError.from(error))
    }
  }

  #say(command: string, ...params: string[]): void {
    this.#outbox?.urgent(serialiseLine(command, params))
  }

  #onText(text: string): void {
    if (this.#state === 'closed') return
    const line = parseLine(text)
    if (line === undefined) return this.#parts.count('malformed-line')
    try {
      this.#onLine(line)
    } catch (error) {
      // A line nobody foresaw must not cost the user their connection.
      this.#parts.count('line-failed')
      this.#parts.host.log.error(
        { err: error, command: line.command },
        'A line from the IRC server could not be handled.',
      )
    }
  }

  #onLine(line: Line): void {
    switch (line.command) {
      case 'PRIVMSG':
        break
      case 'PING':
        return this.#outbox?.pong(serialiseLine('PONG', line.params.slice(0, 2)))
      case 'PONG':
        return
      case 'ERROR':
        this.#lastWords = plainText(line.params.at(-1) ?? '')
        return
      case 'CAP':
        return this.#onCap(line.params)
      case 'AUTHENTICATE':
        return this.#authenticate(line.params[0] ?? '')
      case '005':
        return this.isupport.apply(line.params)
      case '396':
        this.userhostBytes = undefined
        break
    }
    if (this.#state === 'online' || this.#state === 'closing') this.#owner.onLine(line)
    else this.#onRegistration(line)
  }

  #onRegistration(line: Line): void {
    const words = plainText(line.params.at(-1) ?? '')
    switch (line.command) {
      case '001':
        this.nick = line.params[0] ?? this.nick
        this.#state = 'welcomed'
        this.#welcomedAt = this.#parts.host.clock.monotonic()
        return
      case '376':
      case '422':
        return this.#goOnline()
      case '433':
      case '436':
      case '437':
        return this.#tryNick(`${this.#wantedNick}${'_'.repeat(this.#nickTries + 1)}`, 'unavailable', words)
      case '432':
        return this.#tryNick(this.#wantedNick.slice(0, 9), 'not-acceptable', words)
      case '903':
      case '907':
        this.#sasl = 'done'
        return this.#say('CAP', 'END')
      case '464':
        return this.#fail(new NetworkError('wrong-credentials', words))
      case '465':
        return this.#fail(new NetworkError('not-allowed', words))
      case 'NOTICE':
        // "Looking up your hostname": of use only when the connection fails afterwards without an ERROR.
        return
      case 'NICK':
        if (nickOf(line.source) === this.nick) this.nick = line.params[0] ?? this.nick
        return
    }
    // What comes after the welcome is of no use: the server has let us in without the account.
    if (this.#state === 'registering' && (this.#sasl === 'asked' || this.#sasl === 'sent')) {
      // RPL_SASLMECHS: the server has no PLAIN, so the nick service gets the password.
      if (line.command === '908' && !(line.params[1] ?? '').split(',').includes('PLAIN')) return this.#skipSasl()
      if (saslFailures.has(line.command)) {
        const code = saslFailure(line.command, words, this.#sasl === 'sent')
        return this.#fail(new NetworkError(code, words || 'The IRC server refused the password.'))
      }
    }
    if (this.#state === 'welcomed' && (line.command === 'JOIN' || line.command === 'MODE')) return
    if (line.command === '451' || line.command === '421') return
  }

  /** Another nick while registering; the last resort has digits. */
  #tryNick(nick: string, code: FailureCode, words: string): void {
    this.#nickTries += 1
    if (this.#nickTries > 6 || (this.#nickTries > 1 && nick === this.nick)) {
      return this.#fail(new NetworkError(code, words || 'No nick could be had.'))
    }
    const random = () => `${this.#wantedNick.slice(0, 5)}${1000 + Math.floor(Math.random() * 9000)}`
    this.nick = this.#nickTries > 3 || nick.length > MAX_NICK ? random() : nick
    this.#say('NICK', this.nick)
  }

  #goOnline(): void {
    this.#state = 'online'
    this.#onRegistered()
    this.#owner.onOnline()
  }

  /** CAP LS, ACK, NAK, NEW, DEL (IRCv3 capability negotiation 302). */
  #onCap(params: readonly string[]): void {
    const isPartial = params[2] === '*'
    const words = (params.at(-1) ?? '').split(' ')
    const names = words.map(word => word.split('=')[0] ?? '')
    switch (params[1]?.toUpperCase()) {
      case 'LS': {
        this.#offered.push(...names)
        if (this.#password && !this.#parts.config.sendPass && words.some(offersPlain)) this.#sasl = 'wanted'
        if (isPartial) return
        const wanted = capabilities.filter(name => this.#offered.includes(name))
        if (this.#sasl === 'wanted') wanted.push('sasl')
        this.#offered = []
        return wanted.length > 0 ? this.#request(wanted) : this.#say('CAP', 'END')
      }
      case 'ACK':
        for (const name of names) {
          if (name.startsWith('-')) this.#caps = this.#caps.filter(cap => cap !== name.slice(1))
          else if (name !== '' && !this.#caps.includes(name)) this.#caps.push(name)
        }
        if (!isPartial) this.#capsAnswered()
        return
      case 'NAK': {
        // One that is refused costs all that were asked for with it.
        const each = this.#requested.length > 1 ? this.#requested : []
        this.#requested = []
        for (const name of each) this.#request([name])
        return this.#capsAnswered()
      }
      case 'NEW': {
        const wanted = capabilities.filter(name => names.includes(name))
        if (wanted.length > 0) this.#request(wanted)
        return
      }
      case 'DEL':
        this.#caps = this.#caps.filter(name => !names.includes(name))
    }
  }

  #request(names: readonly string[]): void {
    this.#capRequests++
    this.#requested = names
    this.#say('CAP', 'REQ', names.join(' '))
  }

  #capsAnswered(): void {
    this.#capRequests = Math.max(0, this.#capRequests - 1)
    if (this.#state !== 'registering' || this.#capRequests > 0) return
    if (this.#sasl !== 'none' && this.#sasl !== 'wanted') return
    if (this.#sasl !== 'wanted' || !this.#caps.includes('sasl')) return this.#skipSasl()
    this.#sasl = 'asked'
    this.#say('AUTHENTICATE', 'PLAIN')
  }

  #skipSasl(): void {
    this.#sasl = 'none'
    this.#say('CAP', 'END')
  }

  /** The server asks for what PLAIN sends. */
  #authenticate(challenge: string): void {
    if (this.#sasl !== 'asked' || challenge !== '+' || !this.#password) return
    this.#sasl = 'sent'
    for (const part of plainLines(this.#wantedNick, this.#password)) this.#say('AUTHENTICATE', part)
  }

  #tick(): void {
    const now = this.#parts.host.clock.monotonic()
    if (this.#state === 'welcomed' && now - this.#welcomedAt > MOTD_MS) this.#goOnline()
    if (this.#state !== 'online') return
    const silence = now - this.#heardAt
    if (silence > SILENCE_MS + PING_ANSWER_MS && this.#isPinged) {
      this.#fail(new NetworkError('unreachable', `${this.target.host} does not answer any more.`))
    } else if (silence > SILENCE_MS && !this.#isPinged) {
      this.#isPinged = true
      this.#say('PING', 'spectrum')
    }
  }
}
