import { type Bus, commandLane } from '@spectrum/bus'
import { commandCodec } from '@spectrum/messages'
import { type Logger, NetworkError } from '@spectrum/network'
import type { FrontendMetrics } from './metrics.ts'
import type { Placements } from './placements.ts'
import type { RoomLine } from './recent-lines.ts'

export interface ReturnedLinesOptions {
  readonly bus: Bus
  readonly instance: string
  readonly placements: Placements
  readonly metrics: FrontendMetrics
  readonly log: Logger
}

/** Lines in one command, at most. */
const maxLines = 100
const retryMs = 500

interface Waiting {
  readonly line: RoomLine
  readonly done: () => void
}

/** Gives room lines that nobody can have read back to the session, which tells them again when the resource is in the room again. */
export class ReturnedLines {
  readonly #options: ReturnedLinesOptions
  readonly #waiting = new Map<string, Waiting[]>()
  #count = 0
  #isClosed = false

  constructor(options: ReturnedLinesOptions) {
    this.#options = options
  }

  /** Order is kept per user. `done` is called when the line is durable in the user's command lane, or nobody is there to take it. */
  give(line: RoomLine, reason: 'unverified' | 'bounced', done: () => void): void {
    this.#options.metrics.returned.inc({ reason })
    const waiting = this.#waiting.get(line.user)
    if (waiting !== undefined) {
      waiting.push({ line, done })
      return
    }
    this.#waiting.set(line.user, [{ line, done }])
    // What is returned in this turn of the event loop leaves in one command.
    setImmediate(() => void this.#work(line.user))
  }

  /** What is not durable is given up; its events are unfinished. */
  close(): void {
    this.#isClosed = true
  }

  async #work(user: string): Promise<void> {
    const { log, metrics } = this.#options
    for (;;) {
      const waiting = this.#waiting.get(user) ?? []
      if (waiting.length === 0 || this.#isClosed) break
      const batch = waiting.slice(0, maxLines)
      try {
        if (!(await this.#publish(user, batch)))
          metrics.dropped.inc({ kind: 'event', reason: 'returned-signed-out' }, batch.length)
        waiting.splice(0, batch.length)
        for (const { done } of batch) done()
      } catch (error) {
        const { code } = NetworkError.from(error)
        if (code !== 'unavailable' && code !== 'rate-limited')
          log.error({ err: error, login: user }, 'lines cannot be returned')
        await new Promise(resolve => setTimeout(resolve, retryMs))
      }
    }
    this.#waiting.delete(user)
  }

  /** False when the user has no session. */
  async #publish(user: string, batch: readonly Waiting[]): Promise<boolean> {
    const { bus, instance, placements } = this.#options
    const placement = placements.cached(user) ?? (await placements.read(user, { isLastWord: true }))
    if (placement === undefined) return false
    const publisher = bus.publisher(commandLane(instance, placement.backend), commandCodec)
    publisher.publish({
      key: `${bus.processId}.returned.${(++this.#count).toString(36)}`,
      user,
      resource: '',
      generation: placement.generation,
      forwards: 0,
      traceparent: '',
      stanzaId: '',
      command: {
        $case: 'messagesReturned',
        value: {
          messages: batch.map(({ line: { resource, message, atMs } }) => ({ resources: [resource], message, atMs })),
        },
      },
    })
    await publisher.durable()
    return true
  }
}
