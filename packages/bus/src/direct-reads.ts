import { type Msg, nuid } from '@nats-io/transport-node'
import type { Connection } from './connection.ts'
import type { ServiceName } from './options.ts'
import { inboxPrefix } from './subjects.ts'

const timeoutMs = 1000

interface Waiting {
  readonly deadline: number
  resolve(reply: Msg | undefined): void
}

/**
 * Asks for the last message of a subject, a thousand at once: one inbox and one timer for all. The client's own requests
 * each have both, which costs more than the server's answer.
 */
export class DirectReads {
  readonly #connection: Connection
  readonly #inbox: string
  /** By number, oldest first. */
  readonly #waiting = new Map<number, Waiting>()
  #timer: NodeJS.Timeout | undefined
  #lastNumber = 0

  constructor(connection: Connection, service: ServiceName) {
    this.#connection = connection
    this.#inbox = `${inboxPrefix(service)}.get.${nuid.next()}`
    connection.nc.subscribe(`${this.#inbox}.*`, {
      callback: (error, message) => {
        if (error) connection.log.error({ err: error }, 'answers to direct reads cannot be received')
        else this.#onReply(message)
      },
    })
    // What was asked over a connection is answered over it, or never.
    connection.connected.add(isConnected => {
      if (!isConnected) this.#giveUp(Number.POSITIVE_INFINITY)
    })
  }

  /**
   * The server's reply, whatever its status; undefined after 1 s, and without a connection. A replica that dies leaves the
   * question without an answer, as does a server whose stream allows no direct reading.
   */
  ask(subject: string): Promise<Msg | undefined> {
    if (!this.#connection.isConnected) return Promise.resolve(undefined)
    return new Promise(resolve => {
      const number = ++this.#lastNumber
      this.#waiting.set(number, { deadline: performance.now() + timeoutMs, resolve })
      this.#connection.nc.publish(subject, '', { reply: `${this.#inbox}.${number}` })
      this.#timer ??= this.#wakeIn(timeoutMs)
    })
  }

  #onReply(message: Msg): void {
    const number = Number(message.subject.slice(this.#inbox.length + 1))
    const waiting = this.#waiting.get(number)
    this.#waiting.delete(number)
    waiting?.resolve(message)
  }

  #wakeIn(ms: number): NodeJS.Timeout {
    return setTimeout(() => {
      this.#giveUp(performance.now())
      const [oldest] = this.#waiting.values()
      this.#timer = oldest && this.#wakeIn(Math.max(1, oldest.deadline - performance.now()))
    }, ms).unref()
  }

  /** Those whose deadline is before. */
  #giveUp(before: number): void {
    for (const [number, { deadline, resolve }] of this.#waiting) {
      if (deadline > before) return
      this.#waiting.delete(number)
      resolve(undefined)
    }
  }
}
