import { once } from 'node:events'
import { connect as connectTcp } from 'node:net'
import type { Duplex } from 'node:stream'
import { connect as connectTls } from 'node:tls'
import type { Account, Clock, ConnectTarget, Host, Logger, Login, LoginId, NetworkEvent } from '@spectrum/network'
import { NetworkError } from '@spectrum/network'

export const realClock: Clock = { now: () => Date.now(), monotonic: () => performance.now() }

type Of<T extends NetworkEvent['type']> = Extract<NetworkEvent, { type: T }>

/** What a worker gives a session, with everything written down: plain sockets, and waiting for what must come. */
export class RecordingHost implements Host {
  readonly product = { name: 'Spectrum Cloud', version: '0.0.0-test' }
  readonly events: NetworkEvent[] = []
  readonly states: string[] = []
  readonly logged: string[] = []
  readonly targets: ConnectTarget[] = []
  readonly clock: Clock
  readonly log: Logger = {
    debug: () => {},
    info: (fields, message) => this.logged.push(`${message} ${JSON.stringify(fields)}`),
    warn: (fields, message) => this.logged.push(`${message} ${JSON.stringify(fields)}`),
    error: (fields, message) => this.logged.push(`${message} ${JSON.stringify(fields)}`),
  }
  readonly sockets = new Set<Duplex>()

  constructor(clock: Clock = realClock) {
    this.clock = clock
  }

  emit(event: NetworkEvent): void {
    this.events.push(event)
  }

  flushed(): Promise<void> {
    return Promise.resolve()
  }

  state(state: 'connecting' | 'online'): void {
    this.states.push(state)
  }

  saveAccount(): Promise<void> {
    return Promise.resolve()
  }

  async admit(_host: string, signal: AbortSignal): Promise<void> {
    signal.throwIfAborted()
  }

  async connect(target: ConnectTarget, signal: AbortSignal): Promise<Duplex> {
    this.targets.push(target)
    const socket = target.tls
      ? connectTls({ host: target.host, port: target.port, rejectUnauthorized: target.tls.verify !== false })
      : connectTcp({ host: target.host, port: target.port, noDelay: true })
    try {
      await once(socket, target.tls ? 'secureConnect' : 'connect', { signal })
    } catch (error) {
      socket.destroy()
      throw new NetworkError('unreachable', `${target.host}: ${error instanceof Error ? error.message : error}`, {
        cause: error,
      })
    }
    this.sockets.add(socket)
    socket.on('close', () => this.sockets.delete(socket))
    return socket
  }

  /** The first event that fits, among those from `from` on; waits for it, and says what came instead. */
  async next<T extends NetworkEvent['type']>(
    type: T,
    fits: (event: Of<T>) => boolean = () => true,
    { from = 0, deadlineMs = 10_000 } = {},
  ): Promise<Of<T>> {
    const isIt = (event: NetworkEvent): event is Of<T> => event.type === type && fits(event as Of<T>)
    const end = performance.now() + deadlineMs
    for (;;) {
      const found = this.events.slice(from).find(isIt)
      if (found) return found
      if (performance.now() > end) {
        const got = this.events
          .slice(from)
          .map(event => JSON.stringify(event))
          .slice(-40)
        throw new Error(
          `no such ${type} within ${deadlineMs} ms; these came:\n${got.join('\n')}\n${this.logged.join('\n')}`,
        )
      }
      await new Promise(resolve => setTimeout(resolve, 5))
    }
  }

  async online(deadlineMs = 30_000): Promise<void> {
    const end = performance.now() + deadlineMs
    while (!this.states.includes('online')) {
      if (performance.now() > end) throw new Error(`not online within ${deadlineMs} ms: ${this.logged.join('\n')}`)
      await new Promise(resolve => setTimeout(resolve, 5))
    }
  }
}

export function loginOf(username: string, account: Partial<Account> = {}): Login {
  return { id: `${username}@example.org` as LoginId, account: { username, settings: {}, ...account }, contacts: [] }
}
