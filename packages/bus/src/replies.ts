import { type Msg, type MsgHdrs, type NatsConnection, nuid } from '@nats-io/transport-node'
import { NetworkError } from '@spectrum/network'

/** How exact a time-out is. */
const sweepMs = 50
const noRespondersStatus = 503

interface Waiting {
  readonly subject: string
  readonly deadline: number
  resolve(reply: Msg): void
  reject(error: NetworkError): void
}

/**
 * Requests and their replies: one inbox and one timer for all of them. The client's own requests race promises and timers
 * of their own, which costs more than the server's answer and outlives its short-lived objects.
 */
export class Replies {
  readonly #nc: NatsConnection
  readonly #inbox: string
  readonly #waiting = new Map<number, Waiting>()
  #timer: NodeJS.Timeout | undefined
  #lastNumber = 0
  #onIdle: () => void = () => {}

  /** @param onError - replies cannot be received at all */
  constructor(nc: NatsConnection, inboxPrefix: string, onError: (error: Error) => void) {
    this.#nc = nc
    this.#inbox = `${inboxPrefix}.reply.${nuid.next()}`
    nc.subscribe(`${this.#inbox}.*`, {
      callback: (error, message) => {
        if (error) onError(error)
        else this.#onReply(message)
      },
    })
  }

  /** Rejects with `unavailable`: certain when nobody listens there, not certain when no reply came in time. */
  ask(subject: string, payload: Uint8Array | string, timeoutMs: number, headers?: MsgHdrs): Promise<Msg> {
    return new Promise((resolve, reject) => {
      const number = ++this.#lastNumber
      this.#nc.publish(subject, payload, { reply: `${this.#inbox}.${number}`, ...(headers ? { headers } : {}) })
      this.#waiting.set(number, { subject, deadline: performance.now() + timeoutMs, resolve, reject })
      // Whoever waits for a reply has a connection that keeps the process.
      this.#timer ??= setInterval(() => this.#sweep(performance.now()), sweepMs).unref()
    })
  }

  /** The server does not let this service ask there. */
  refuse(subject: string, cause: Error): void {
    for (const [number, waiting] of this.#waiting) {
      if (waiting.subject !== subject) continue
      this.#take(number)
      waiting.reject(new NetworkError('not-allowed', 'This service may not ask that.', { cause }))
    }
  }

  /** Fulfils when nothing is waited for. */
  idle(): Promise<void> {
    if (this.#waiting.size === 0) return Promise.resolve()
    return new Promise(resolve => {
      this.#onIdle = resolve
    })
  }

  /** Nothing comes any more. */
  close(): void {
    this.#sweep(Number.POSITIVE_INFINITY)
  }

  #onReply(message: Msg): void {
    const waiting = this.#take(Number(message.subject.slice(this.#inbox.length + 1)))
    if (message.headers?.code === noRespondersStatus && message.data.length === 0)
      waiting?.reject(new NetworkError('unavailable', 'Nobody answers at the moment.'))
    else waiting?.resolve(message)
  }

  #sweep(now: number): void {
    for (const [number, { deadline, reject }] of this.#waiting) {
      if (deadline > now) continue
      this.#take(number)
      reject(new NetworkError('unavailable', 'No answer came in time.', { certain: false }))
    }
  }

  #take(number: number): Waiting | undefined {
    const waiting = this.#waiting.get(number)
    this.#waiting.delete(number)
    if (this.#waiting.size === 0) {
      clearInterval(this.#timer)
      this.#timer = undefined
      this.#onIdle()
    }
    return waiting
  }
}
