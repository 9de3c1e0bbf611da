import { setTimeout as delay } from 'node:timers/promises'
import { headers as createHeaders } from '@nats-io/transport-node'
import { type Connection, parseApiReply } from './connection.ts'
import { deadSubject } from './subjects.ts'

const maxWaiting = 64
const attempts = 10
const timeoutMs = 1000

/** Puts what cannot be handled aside, where an operator finds it; never holds up the lane. */
export class DeadLetters {
  readonly #connection: Connection
  readonly #subject: string
  #waiting = 0

  constructor(connection: Connection, instance: string) {
    this.#connection = connection
    this.#subject = deadSubject(instance)
  }

  /** Fulfils when it is stored, or, logged and counted, given up. */
  async put(letter: { lane: string; sequence: number; reason: string; data: Uint8Array }): Promise<void> {
    const { lane, sequence, reason } = letter
    this.#connection.count('bus_dead', { reason })
    if (this.#waiting >= maxWaiting) return this.#giveUp(lane, sequence, 'too many at once')
    this.#waiting++
    try {
      await this.#store(letter)
    } finally {
      this.#waiting--
    }
  }

  async #store(letter: { lane: string; sequence: number; reason: string; data: Uint8Array }): Promise<void> {
    const { lane, sequence, reason, data } = letter
    const headers = createHeaders()
    headers.set('Spectrum-Lane', lane)
    headers.set('Spectrum-Sequence', String(sequence))
    headers.set('Spectrum-Reason', reason)
    for (let attempt = 1; ; attempt++) {
      try {
        const reply = await this.#connection.request(this.#subject, data, timeoutMs, headers)
        parseApiReply(reply.data)
        this.#connection.log.error({ lane, sequence, reason }, 'a batch or item was put on the dead stream')
        return
      } catch (error) {
        if (attempt === attempts) return this.#giveUp(lane, sequence, error)
        await delay(100 * attempt)
      }
    }
  }

  #giveUp(lane: string, sequence: number, error: unknown): void {
    this.#connection.count('bus_dropped', { reason: 'dead-stream-unavailable' })
    this.#connection.log.error(
      { lane, sequence, err: error },
      'a batch or item was lost: the dead stream takes nothing',
    )
  }
}
