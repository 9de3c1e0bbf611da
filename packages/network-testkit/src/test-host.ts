import { type Socket, connect as tcpConnect } from 'node:net'
import type { Duplex } from 'node:stream'
import { connect as tlsConnect } from 'node:tls'
import {
  type Account,
  type Clock,
  type ConnectTarget,
  type Host,
  type Logger,
  NetworkError,
  type NetworkEvent,
} from '@spectrum/network'
import { until } from './until.ts'

type EventOf<Type extends NetworkEvent['type']> = Extract<NetworkEvent, { type: Type }>

/** A line that the network logged. */
export interface LogLine {
  readonly level: keyof Logger
  readonly fields: object
  readonly message: string
}

/** The real clock. */
export const realClock: Clock = { now: () => Date.now(), monotonic: () => performance.now() }

/** Connects to where the target says, with real sockets and without any policy. */
export function connectDirectly(target: ConnectTarget, signal: AbortSignal): Promise<Duplex> {
  return new Promise((resolve, reject) => {
    const { host, port, tls } = target
    const socket: Socket =
      tls === undefined
        ? tcpConnect({ host, port, signal })
        : tlsConnect({
            host,
            port,
            servername: tls.servername ?? host,
            rejectUnauthorized: tls.verify !== false,
            cert: tls.cert,
            key: tls.key,
            ...(tls.alpn && { ALPNProtocols: [...tls.alpn] }),
          })
    const failed = (cause: unknown) => reject(new NetworkError('unreachable', 'Cannot be reached.', { cause }))
    signal.addEventListener('abort', () => socket.destroy(), { once: true })
    socket.once('error', failed)
    socket.once(tls === undefined ? 'connect' : 'secureConnect', () => {
      socket.off('error', failed)
      resolve(socket)
    })
  })
}

/** A {@link Host} that remembers: what was emitted, told, logged, and every byte written to a socket. */
export class TestHost implements Host {
  readonly clock: Clock
  readonly product = { name: 'Spectrum Cloud', version: '0.0.0-test' }
  readonly log: Logger
  /** All events, in order. */
  readonly events: NetworkEvent[] = []
  readonly states: ('connecting' | 'online')[] = []
  readonly logged: LogLine[] = []
  readonly savedAccounts: Partial<Pick<Account, 'password' | 'extra'>>[] = []
  /** What was written to sockets, as Latin-1 so that each byte is one character. */
  written = ''
  connects = 0
  /** Events told before the network was online, notices aside: the interface forbids them. */
  readonly tooEarly: NetworkEvent[] = []
  readonly #taken = new Set<NetworkEvent>()
  readonly #sockets = new Set<Duplex>()
  readonly #connect: Host['connect']

  constructor(options: { readonly connect?: Host['connect']; readonly clock?: Clock } = {}) {
    this.#connect = options.connect ?? connectDirectly
    this.clock = options.clock ?? realClock
    const keep = (level: keyof Logger) => (fields: object, message: string) => {
      this.logged.push({ level, fields, message })
    }
    this.log = { debug: keep('debug'), info: keep('info'), warn: keep('warn'), error: keep('error') }
  }

  get isOnline(): boolean {
    return this.states.at(-1) === 'online'
  }

  emit(event: NetworkEvent): void {
    if (!this.isOnline && event.type !== 'notice') this.tooEarly.push(event)
    this.events.push(event)
  }

  async flushed(): Promise<void> {}

  state(state: 'connecting' | 'online'): void {
    this.states.push(state)
  }

  async saveAccount(change: Partial<Pick<Account, 'password' | 'extra'>>): Promise<void> {
    this.savedAccounts.push(change)
  }

  /** Lets everybody in at once. */
  async admit(_host: string, signal: AbortSignal): Promise<void> {
    signal.throwIfAborted()
  }

  async connect(target: ConnectTarget, signal: AbortSignal): Promise<Duplex> {
    this.connects++
    const socket = await this.#connect(target, signal)
    this.#sockets.add(socket)
    const write = socket.write.bind(socket)
    socket.write = ((chunk: string | Uint8Array, ...rest: []) => {
      this.written += Buffer.from(chunk as string).toString('latin1')
      return write(chunk, ...rest)
    }) as Duplex['write']
    return socket
  }

  /** Breaks every connection to the network, as a cut cable does once it is noticed. */
  cut(): void {
    for (const socket of this.#sockets) socket.destroy()
    this.#sockets.clear()
  }

  /**
   * The first event of that type that matches and that no earlier call has taken; waits for it. Rejects after the
   * deadline with all that did arrive.
   */
  async event<Type extends NetworkEvent['type']>(
    type: Type,
    matches: (event: EventOf<Type>) => boolean = () => true,
    deadlineMs?: number,
  ): Promise<EventOf<Type>> {
    const find = () =>
      this.events.find(
        (event): event is EventOf<Type> =>
          event.type === type && !this.#taken.has(event) && matches(event as EventOf<Type>),
      )
    const event = await until(find, () => `${type}; there are:\n${this.describe()}`, deadlineMs)
    this.#taken.add(event)
    return event
  }

  /** The latest events, one a line, for the message of a failed test. */
  describe(): string {
    const newest = this.events
      .slice(-40)
      .map(event => `  ${this.#taken.has(event) ? '·' : '?'} ${JSON.stringify(event)}`)
    return newest.join('\n') || '  (none)'
  }
}
