/// <reference path="./xmpp-component.d.ts" />
import { type ComponentEntity, component } from '@xmpp/component'
import type { Element } from './element.ts'
import { LifeProbe } from './life-probe.ts'
import { PatientSocket } from './patient-socket.ts'
import { type ParserLimits, StanzaParser } from './stanza-parser.ts'

/** Fields first, then a fixed sentence. Which component it is, the caller's log says itself. */
export interface StreamLog {
  info(fields: object, message: string): void
  warn(fields: object, message: string): void
}

export interface StreamOptions {
  readonly host: string
  readonly port: number
  /** The component's JID. */
  readonly domain: string
  /** Shared secret of XEP-0114. */
  readonly secret: string
  readonly limits: ParserLimits
  readonly log: StreamLog
  /**
   * Called when a stream stands, before the handshake that asks the server for the domain: it waits until this fulfils, which
   * must not reject. Default: at once.
   */
  readonly beforeHandshake?: () => Promise<void>
  /** 0 ≤ x < 1; default Math.random. Spreads the reconnects of many components. */
  readonly random?: () => number
}

export interface StreamListener {
  /** The handshake is done: stanzas flow. `failures`: tries in vain since the last stream. */
  onOnline(failures: number): void
  /** The stream that was online is gone; `isGivenUp` by us, for its silence. */
  onOffline(isGivenUp: boolean): void
  onStanza(stanza: Element): void
  /** All that was written has gone to the kernel. */
  onDrain(): void
}

/** Whoever returns to a server that was restarted finds the gateway there if it was quick; ten tries take 25 s. */
const firstDelayMs = 250
const delayGrowth = 1.5
const refusedDelayMs = 1_000
/** The server may still be sending what it had for us when we take our leave: that is read to the end. */
const farewellMs = 5_000
const longestDelayMs = 30_000
const handshakeTimeoutMs = 10_000
/** A server that lives again after a standstill first reads what was written to it; so long it may take to answer that. */
const graceMs = 5_000
/** Silence that was not told again for so long is over. */
const silenceOverMs = 3_000
/** Thrown out by another connection of our domain: two that both came back at once would take turns for ever. */
const firstConflictDelayMs = 10_000
const longestConflictDelayMs = 300_000
/** A stream that lived so long has settled the conflict before it. */
const settledMs = 60_000

/**
 * XEP-0114: the stream of an external component, on the library's connection, handshake and reconnect. Connects again for ever:
 * after 250 ms, then ever later up to 30 s, with jitter. A wrong secret is tried again each 30 s; a conflict (another
 * connection has our domain) is never fought over.
 */
export class ComponentStream {
  readonly #options: StreamOptions
  readonly #listener: StreamListener
  readonly #entity: ComponentEntity
  #isOnline = false
  #isStopped = false
  #isPaused = false
  #isStarted = false
  /** The last try came as far as the handshake. */
  #hasReached = false
  #attempt = 0
  /** Connections begun since the last stream. */
  #tries = 0
  #conflicts = 0
  #onlineAt = 0
  /** The last trouble that was logged, so that a server away for hours costs one line. */
  #told = ''
  #watchdog: NodeJS.Timeout | undefined
  #silentAt = Number.NEGATIVE_INFINITY
  #probe: LifeProbe | undefined
  #isGivenUp = false
  #isContested = false
  /** The present connection ends for it. */
  #hasConflict = false
  /** Stanzas that came right behind the handshake, which the library tells of a little later. */
  #early: Element[] = []

  constructor(options: StreamOptions, listener: StreamListener) {
    this.#options = options
    this.#listener = listener
    const { host, port, domain, secret, limits } = options
    const literal = host.includes(':') ? `[${host}]` : host
    this.#entity = component({
      service: `xmpp://${literal}:${port}`,
      domain,
      password: authenticate => this.#shakeHands(() => authenticate(secret)),
    })
    this.#configure(limits)
  }

  get isOnline(): boolean {
    return this.#isOnline
  }

  /** The last connection ended as another one has our domain. */
  get isContested(): boolean {
    return this.#isContested
  }

  /** Bytes that wait for the socket. */
  get bufferedBytes(): number {
    return this.#entity.socket?.writableLength ?? 0
  }

  start(): void {
    this.#isStarted = true
    // A failure is told by the entity's `error` and `disconnect` as well, which is where it is dealt with.
    this.#entity.reconnect.reconnect().catch(() => undefined)
  }

  /**
   * Others are known to reach the server: where the last try did not, the next is made at once. True when a try is under way
   * then that may come as far as the handshake.
   */
  hurry(): boolean {
    if (!this.#isStarted || this.#isStopped || this.#isOnline || this.#hasReached) return false
    if (this.#entity.status === 'disconnect') {
      this.#entity.reconnect.delay = 0
      this.#entity.reconnect.scheduleReconnect()
    }
    return true
  }

  /** Writes to the socket as it stands; the caller answers for the XML. Only while online. */
  write(text: string): void {
    this.#entity.socket?.write(text, () => {
      if (this.bufferedBytes === 0) this.#listener.onDrain()
    })
  }

  /** Gives the stream up at once; a new one follows. */
  abandon(reason: string): void {
    this.#tell(reason, { reason }, 'component stream abandoned')
    this.#isGivenUp = true
    this.#entity.socket?.destroy()
  }

  /**
   * The server says nothing; told again each second while it does not. What it wrote to this stream and we have not read would
   * be lost with the stream, also what it writes on waking up: so the stream is given up only when the server answers another
   * connection and still not this one.
   */
  silent(reason: string): void {
    const now = performance.now()
    if (now - this.#silentAt > silenceOverMs) this.#endProbe()
    this.#silentAt = now
    const { host, port, domain } = this.#options
    if (this.#probe === undefined || this.#probe.hasFailed) {
      this.#tell(
        `silent: ${reason}`,
        { reason },
        'the component stream is kept until the server answers another connection',
      )
      this.#probe = new LifeProbe({ host, port, domain })
    } else if (this.#probe.answeredAt !== undefined && now - this.#probe.answeredAt > graceMs) {
      this.#endProbe()
      this.abandon(reason)
    }
  }

  get isSilent(): boolean {
    return performance.now() - this.#silentAt < silenceOverMs
  }

  /**
   * Another connection of ours is about to take the domain over: reads to the end that the server makes, and connects no more.
   * True when that end came within the deadline.
   */
  async replaced(deadlineMs: number): Promise<boolean> {
    this.#isStopped = true
    this.#entity.reconnect.stop()
    const { socket } = this.#entity
    if (socket === null || socket.destroyed) return true
    this.resume()
    const { promise, resolve } = Promise.withResolvers<boolean>()
    const timer = setTimeout(() => resolve(false), deadlineMs)
    socket.once('close', () => resolve(true))
    const hasEnded = await promise
    clearTimeout(timer)
    return hasEnded
  }

  #endProbe(): void {
    this.#probe?.[Symbol.dispose]()
    this.#probe = undefined
  }

  /** Stops reading stanzas. */
  pause(): void {
    this.#isPaused = true
    // A handshake under way has to be read to its end.
    if (this.#isOnline) this.#entity.socket?.pause()
  }

  resume(): void {
    this.#isPaused = false
    this.#deliverEarly()
    this.#entity.socket?.resume()
  }

  /** Ends the stream for good. What was written before goes out first. */
  async stop(): Promise<void> {
    this.#isStopped = true
    this.#entity.reconnect.stop()
    clearTimeout(this.#watchdog)
    this.#endProbe()
    const { socket } = this.#entity
    if (socket === null || socket.destroyed) return
    // Nothing can have been said yet.
    if (socket.connecting) socket.destroy()
    const closed = new Promise<void>(resolve => socket.once('close', () => resolve()))
    this.#deliverEarly()
    socket.resume()
    // RFC 6120 section 4.4: the server answers with its own closing tag and ends the connection. To end our side of it as well
    // makes some servers discard what they were about to send us.
    if (this.#isOnline) socket.write('</stream:stream>')
    const half = setTimeout(() => socket.end(), this.#isOnline ? farewellMs / 2 : 0)
    const whole = setTimeout(() => socket.destroy(), farewellMs)
    await closed
    clearTimeout(half)
    clearTimeout(whole)
  }

  #configure(limits: ParserLimits): void {
    const entity = this.#entity
    const listener = this.#listener
    entity.timeout = handshakeTimeoutMs
    entity.Parser = class extends StanzaParser {
      constructor() {
        super(limits)
      }
    }
    // Text, as the library decodes each chunk by itself, which breaks characters that lie across two.
    entity.Socket = class extends PatientSocket {
      constructor() {
        super()
        this.setNoDelay(true)
        this.setKeepAlive(true, 30_000)
      }
    }
    // After the end of the stream, or an error in it, the library has no parser but still hands over what arrives.
    entity._onData = data => entity.parser?.write(String(data))
    const onElement = entity._onElement.bind(entity)
    // Stanzas bypass the library's middleware: it would answer IQs by itself.
    entity._onElement = element => {
      if (!isStanza(element)) onElement(element)
      else if (this.#isOnline) listener.onStanza(element)
      else this.#early.push(element)
    }
    entity.on('connecting', () => this.#onConnecting())
    entity.on('online', () => this.#onOnline())
    entity.on('error', error => this.#onError(error as Error & { condition?: string }))
    entity.on('disconnect', () => this.#onDisconnect())
    // The server ends the stream in order (it is being stopped): the socket follows.
    entity.on('close', () => entity.socket?.end())
  }

  #onConnecting(): void {
    this.#early = []
    this.#hasReached = false
    this.#tries++
    // What the next disconnect waits; the library reads it then.
    this.#entity.reconnect.delay = this.#nextDelay()
    this.#watchHandshake()
  }

  #watchHandshake(): void {
    clearTimeout(this.#watchdog)
    this.#watchdog = setTimeout(() => {
      if (!this.#isOnline) this.abandon('the handshake took too long')
    }, handshakeTimeoutMs)
  }

  async #shakeHands(authenticate: () => Promise<void>): Promise<void> {
    const { beforeHandshake } = this.#options
    this.#hasReached = true
    if (beforeHandshake !== undefined) {
      const { socket } = this.#entity
      clearTimeout(this.#watchdog)
      await beforeHandshake()
      // The server does not wait for ever: what has ended meanwhile is connected again, and asks again.
      if (this.#isStopped || socket === null || socket !== this.#entity.socket) return
      this.#watchHandshake()
    }
    await authenticate()
  }

  #deliverEarly(): void {
    if (!this.#isOnline) return
    const early = this.#early
    this.#early = []
    for (const stanza of early) this.#listener.onStanza(stanza)
  }

  #nextDelay(): number {
    const delay = Math.min(longestDelayMs, firstDelayMs * delayGrowth ** Math.min(this.#attempt++, 20))
    return delay * (0.5 + (this.#options.random ?? Math.random)() / 2)
  }

  #conflictDelay(): number {
    if (performance.now() - this.#onlineAt > settledMs) this.#conflicts = 0
    const delay = Math.min(longestConflictDelayMs, firstConflictDelayMs * 2 ** Math.min(this.#conflicts++, 10))
    return delay * (1 + (this.#options.random ?? Math.random)() / 2)
  }

  #onOnline(): void {
    this.#onlineAt = performance.now()
    clearTimeout(this.#watchdog)
    this.#isOnline = true
    this.#isContested = false
    // That was the stream before.
    this.#silentAt = Number.NEGATIVE_INFINITY
    this.#told = ''
    // One of them is this one.
    const failures = this.#tries - 1
    this.#tries = 0
    this.#attempt = 0
    this.#entity.reconnect.delay = this.#nextDelay()
    const { host, port } = this.#options
    this.#options.log.info({ host, port }, 'component connected')
    if (this.#isPaused) this.#entity.socket?.pause()
    this.#listener.onOnline(failures)
    if (!this.#isPaused) this.#deliverEarly()
  }

  #onError(error: Error & { condition?: string }): void {
    const { condition } = error
    if (condition === 'not-authorized') {
      this.#entity.reconnect.delay = longestDelayMs
      this.#tell(condition, {}, 'the XMPP server refuses the component secret (service.password)')
    } else if (condition === 'host-unknown') {
      this.#tell(
        condition,
        { domain: this.#options.domain },
        'the XMPP server has no component of this name (service.jid)',
      )
    } else if (condition === 'conflict') {
      // Refused while another holds the domain: look again each second. Thrown out by another: give way, ever longer.
      this.#hasConflict = true
      this.#entity.reconnect.delay = this.#isOnline ? this.#conflictDelay() : refusedDelayMs
      this.#tell(condition, {}, this.#isOnline ? kickedOut : refused)
    } else {
      this.#tell(condition ?? error.message, { reason: condition ?? error.message }, 'component connection failed')
    }
    // The library closes politely and waits; after any of these the stream is dead.
    this.#entity.socket?.destroy()
  }

  #onDisconnect(): void {
    clearTimeout(this.#watchdog)
    const isGivenUp = this.#isGivenUp
    this.#isGivenUp = false
    this.#isContested = this.#hasConflict
    this.#hasConflict = false
    if (!this.#isOnline) return
    this.#isOnline = false
    this.#endProbe()
    if (!this.#isStopped) this.#options.log.warn({}, 'component disconnected')
    this.#listener.onOffline(isGivenUp)
  }

  #tell(kind: string, fields: object, message: string): void {
    if (this.#told === kind || this.#isStopped) return
    this.#told = kind
    const { host, port } = this.#options
    this.#options.log.warn({ host, port, ...fields }, message)
  }
}

const kickedOut =
  'another connection has taken the component’s domain; waiting before the next try, so that the two do not take turns'
const refused =
  'the server keeps another connection of the component’s domain; trying each second (Prosody: with component_conflict_resolve = "kick_old" the new one takes over at once)'

const isStanza = ({ name }: Element): boolean => name === 'message' || name === 'presence' || name === 'iq'
