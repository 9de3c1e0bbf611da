import { NetworkError, type NetworkSocket } from '@spectrum/network'
import type { Pacer } from './pacing.ts'

/** Above this many bytes unwritten a sender waits. */
const HIGH_WATER_BYTES = 64 * 1024
/** Lines held back by flood control; beyond it the sender is told to try later. */
const MAX_QUEUED_LINES = 1000

/**
 * Lets what all connections of a process wrote in one turn of the event loop leave together, one write per socket. It leaves
 * before anything else is read or written: a line that counts as sent is with the kernel before that can be recorded.
 */
export class Flusher {
  #dirty: Outbox[] = []
  readonly #flush = (): void => {
    const dirty = this.#dirty
    this.#dirty = []
    for (const outbox of dirty) outbox.flush()
  }

  add(outbox: Outbox): void {
    if (this.#dirty.push(outbox) === 1) process.nextTick(this.#flush)
  }
}

interface Waiter {
  readonly until: number
  resolve(): void
  reject(error: NetworkError): void
}

/** The way out of one connection: paced, bounded, and in order. */
export class Outbox {
  readonly #socket: NetworkSocket
  readonly #pacer: Pacer
  readonly #flusher: Flusher
  readonly #isLatin1: boolean
  #pending = ''
  #queue: string[] = []
  #waiters: Waiter[] = []
  /** How many paced lines were ever accepted, and how many of them went towards the socket. */
  #accepted = 0
  #released = 0
  #timer: NodeJS.Timeout | undefined
  #closed: NetworkError | undefined

  constructor(socket: NetworkSocket, pacer: Pacer, flusher: Flusher, encoding: 'utf-8' | 'latin1') {
    this.#socket = socket
    this.#pacer = pacer
    this.#flusher = flusher
    this.#isLatin1 = encoding === 'latin1'
  }

  /**
   * Sends a line (without its end) when flood control and the socket allow. Returns nothing when it has left already, else a
   * promise of that. Throws NetworkError `rate-limited` when too much is waiting, `unreachable` after {@link close}.
   */
  send(line: string): void | Promise<void> {
    if (this.#closed) throw this.#closed
    if (this.#queue.length === 0 && this.#hasRoom() && this.#pacer.take()) {
      this.#write(line)
      return
    }
    return this.#enqueue([line])
  }

  /** Several lines that belong together: all are accepted, or none. */
  sendAll(lines: readonly string[]): void | Promise<void> {
    if (this.#closed) throw this.#closed
    let index = 0
    if (this.#queue.length === 0) {
      while (index < lines.length && this.#hasRoom() && this.#pacer.take()) this.#write(lines[index++] ?? '')
    }
    if (index === lines.length) return
    return this.#enqueue(lines.slice(index))
  }

  /** The answer to PING: past flood control, and past what the host holds back. */
  pong(line: string): void {
    if (this.#closed) return
    if (this.#socket.writeKeepAlive === undefined) return this.#write(line)
    this.#socket.writeKeepAlive(this.#encode(`${line}\r\n`))
  }

  /** Past flood control: registration, QUIT. */
  urgent(line: string): void {
    if (!this.#closed) this.#write(line)
  }

  /** The last line that goes out, at once, with what was accepted before it; then as {@link close}. */
  finish(line: string, error: NetworkError): void {
    this.urgent(line)
    this.flush()
    this.close(error)
  }

  flush(): void {
    const text = this.#pending
    if (text === '' || this.#closed) return
    this.#pending = ''
    this.#socket.write(this.#isLatin1 ? this.#encode(text) : text, 'utf8', this.#onWritten)
  }

  #encode(text: string): Buffer {
    return this.#isLatin1 ? Buffer.from(text.replace(/[^\0-\xff]/gu, '?'), 'latin1') : Buffer.from(text)
  }

  /** Refuses what still waits; it certainly did not reach the network. */
  close(error: NetworkError): void {
    if (this.#closed) return
    this.#closed = error
    clearTimeout(this.#timer)
    this.#queue = []
    this.#pending = ''
    for (const waiter of this.#waiters.splice(0)) waiter.reject(error)
  }

  #enqueue(lines: readonly string[]): Promise<void> {
    // One message of many lines may exceed the bound, but only when nothing else is waiting.
    if (this.#queue.length > 0 && this.#queue.length + lines.length > MAX_QUEUED_LINES) {
      throw new NetworkError('rate-limited', 'Too much is waiting to be sent to IRC. Try again later.')
    }
    this.#accepted += lines.length
    this.#queue.push(...lines)
    this.#schedule()
    const until = this.#accepted
    return new Promise((resolve, reject) => this.#waiters.push({ until, resolve, reject }))
  }

  /** Whether the socket keeps up. What one turn collected goes to it first: a burst alone must not count as a full socket. */
  #hasRoom(): boolean {
    if (this.#pending.length < HIGH_WATER_BYTES) return this.#socket.writableLength < HIGH_WATER_BYTES
    this.flush()
    return this.#socket.writableLength < HIGH_WATER_BYTES
  }

  #write(line: string): void {
    if (this.#pending === '') this.#flusher.add(this)
    this.#pending += `${line}\r\n`
  }

  readonly #onWritten = (): void => {
    if (this.#queue.length > 0) this.#pump()
  }

  readonly #pump = (): void => {
    this.#timer = undefined
    let released = 0
    while (released < this.#queue.length && this.#hasRoom() && this.#pacer.take())
      this.#write(this.#queue[released++] ?? '')
    if (released > 0) this.#queue.splice(0, released)
    this.#released += released
    while (this.#waiters[0] !== undefined && this.#waiters[0].until <= this.#released) this.#waiters.shift()?.resolve()
    this.#schedule()
  }

  /** When the socket is full, its next completed write pumps; when flood control holds, a timer. */
  #schedule(): void {
    if (this.#queue.length === 0 || this.#timer !== undefined || this.#closed || !this.#hasRoom()) return
    this.#timer = setTimeout(this.#pump, this.#pacer.waitMs())
  }
}
