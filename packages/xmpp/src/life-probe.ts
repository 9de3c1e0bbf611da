import { connect, type Socket } from 'node:net'
import { escapeAttribute } from './xml.ts'

export interface LifeProbeOptions {
  readonly host: string
  readonly port: number
  readonly domain: string
}

/**
 * Whether an XMPP server lives: opens a stream (XEP-0114) and waits for the server's own opening, without logging in. The
 * kernel accepts connections for a process that stands still, so that only an answer proves anything.
 */
export class LifeProbe implements Disposable {
  readonly #socket: Socket
  /** When the server answered, on the monotonic clock in milliseconds; `undefined` while it has not. */
  answeredAt: number | undefined
  /** The connection ended without an answer. */
  hasFailed = false

  constructor({ host, port, domain }: LifeProbeOptions) {
    // The stream that it is about keeps the process alive.
    this.#socket = connect({ host, port }).unref()
    this.#socket.on('connect', () =>
      this.#socket.write(
        `<stream:stream xmlns="jabber:component:accept" xmlns:stream="http://etherx.jabber.org/streams" to="${escapeAttribute(domain)}">`,
      ),
    )
    this.#socket.on('data', () => {
      this.answeredAt ??= performance.now()
      this.#socket.destroy()
    })
    // Told by `close`, which follows.
    this.#socket.on('error', () => this.#socket.destroy())
    this.#socket.on('close', () => {
      this.hasFailed = this.answeredAt === undefined
    })
  }

  [Symbol.dispose](): void {
    this.#socket.destroy()
  }
}
