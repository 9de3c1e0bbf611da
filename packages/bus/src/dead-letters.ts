import { setTimeout as delay } from 'node:timers/promises'
import { headers as createHeaders } from '@nats-io/transport-node'
import { type Connection, parseApiReply } from './connection.ts'
import { deadSubject } from './subjects.ts'

const maxWaiting = 64
const attempts = 10
const timeoutMs = 1000
/** More than the headers of a letter take: an address has 3,071 bytes at most (RFC 7622). */
const headersBytes = 4_096
/** Of a server that does not tell. */
const defaultMaxPayload = 1_048_576

/** What is put aside, and what an operator must know of it. */
export interface DeadLetter {
  /** {@link Lane.key}, when it came over a lane; with the sequence in its stream. */
  readonly lane?: string
  readonly sequence?: number
  /** A code: becomes a label. */
  readonly reason: string
  readonly data: Uint8Array
  /** Bare JID of who sent it, or was to get it. */
  readonly user?: string
}

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
  async put(letter: DeadLetter): Promise<void> {
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

  async #store(letter: DeadLetter): Promise<void> {
    const { lane, sequence, reason, data, user } = letter
    const headers = createHeaders()
    if (lane !== undefined) headers.set('Spectrum-Lane', lane)
    if (sequence !== undefined) headers.set('Spectrum-Sequence', String(sequence))
    headers.set('Spectrum-Reason', reason)
    if (user !== undefined) headers.set('Spectrum-User', user.replaceAll(/[\r\n]/g, ' '))
    // With these headers it may be larger than the server takes: its beginning tells what it was.
    const room = (this.#connection.nc.info?.max_payload ?? defaultMaxPayload) - headersBytes
    if (data.length > room) headers.set('Spectrum-Whole-Bytes', String(data.length))
    const kept = data.subarray(0, room)
    for (let attempt = 1; ; attempt++) {
      try {
        const reply = await this.#connection.request(this.#subject, kept, timeoutMs, headers)
        parseApiReply(reply.data)
        this.#connection.log.error({ lane, sequence, reason }, 'a batch or item was put on the dead stream')
        return
      } catch (error) {
        if (attempt === attempts) return this.#giveUp(lane, sequence, error)
        await delay(100 * attempt)
      }
    }
  }

  #giveUp(lane: string | undefined, sequence: number | undefined, error: unknown): void {
    this.#connection.count('bus_dropped', { reason: 'dead-stream-unavailable' })
    this.#connection.log.error(
      { lane, sequence, err: error },
      'a batch or item was lost: the dead stream takes nothing',
    )
  }
}
