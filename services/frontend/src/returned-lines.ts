import { type Bus, commandLane } from '@spectrum/bus'
import { type Command, commandCodec } from '@spectrum/messages'
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
  /** Milliseconds, monotonic. Default performance.now. */
  readonly now?: () => number
}

/** Why a line goes back: its client did not answer, the server sent it back, or it was confirmed right before the stream ended. */
export type ReturnReason = 'unverified' | 'bounced' | 'uncertain'

/** Lines in one command, at most. */
const maxLines = 100
const retryMs = 500
/** As long as a session waits for a client that lost lines to come back. */
const absentMs = 30_000

interface Waiting {
  /** Absent in a word that all lines before it are returned. */
  readonly line?: RoomLine
  readonly command: NonNullable<Command['command']>
  readonly resource: string
  readonly done: () => void
}

/**
 * Gives room lines that nobody can have read back to the session, which tells them again when the resource is in the room again.
 * Until then everything that is said in the room goes back for that resource, also when it is there again: what is younger
 * must not reach it first.
 */
export class ReturnedLines {
  readonly #options: ReturnedLinesOptions
  readonly #waiting = new Map<string, Waiting[]>()
  /** Resource and room → until when, in the order of that. */
  readonly #absent = new Map<string, number>()
  /** Resources that were gone: until when, and the rooms that they have come into since. */
  readonly #gone = new Map<string, { readonly until: number; readonly entered: Set<string> }>()
  readonly #now: () => number
  #count = 0
  #isClosed = false

  constructor(options: ReturnedLinesOptions) {
    this.#options = options
    this.#now = options.now ?? (() => performance.now())
  }

  /** Order is kept per user. `done` is called when the line is durable in the user's command lane, or nobody is there to take it. */
  give(line: RoomLine, reason: ReturnReason, done: () => void): void {
    this.#options.metrics.returned.inc({ reason })
    const { user, resource, message, atMs } = line
    this.#leaves(keyOf(user, resource, message.from?.node ?? ''))
    const value = { messages: [{ resources: [resource], message, atMs }] }
    this.#add(user, { line, command: { $case: 'messagesReturned', value }, resource: '', done })
  }

  /** The resource is gone: whoever comes back under its name is in none of its rooms. */
  leaves(fullJid: string): void {
    const now = this.#now()
    for (const [oldest, { until }] of this.#gone) {
      if (until > now) break
      this.#gone.delete(oldest)
    }
    this.#gone.delete(fullJid)
    this.#gone.set(fullJid, { until: now + absentMs, entered: new Set() })
  }

  get hasAbsentees(): boolean {
    return this.#absent.size > 0 || this.#gone.size > 0
  }

  /** Whether lines of the room were given back for the resource, which has not been heard to be in the room since. */
  isAbsent({ user, resource, message }: RoomLine): boolean {
    const node = message.from?.node ?? ''
    const until = this.#absent.get(keyOf(user, resource, node))
    if (until !== undefined && until > this.#now()) return true
    const gone = this.#gone.get(`${user}/${resource}`)
    return gone !== undefined && gone.until > this.#now() && !gone.entered.has(node)
  }

  /** The resource is told what is said in the room again. */
  entered(user: string, resource: string, node: string): void {
    this.#absent.delete(keyOf(user, resource, node))
    this.#gone.get(`${user}/${resource}`)?.entered.add(node)
  }

  /** The same, and the session is told so behind all lines that were given back before. */
  complete(
    user: string,
    resource: string,
    room: { name: string; node: string; resource: string },
    done: () => void,
  ): void {
    this.entered(user, resource, room.node)
    this.#add(user, { command: { $case: 'returnsComplete', value: { room } }, resource, done })
  }

  /** What is not durable is given up; its events are unfinished. */
  close(): void {
    this.#isClosed = true
  }

  #leaves(key: string): void {
    const now = this.#now()
    if (this.#absent.has(key)) return
    for (const [oldest, until] of this.#absent) {
      if (until > now) break
      this.#absent.delete(oldest)
    }
    this.#absent.set(key, now + absentMs)
  }

  #add(user: string, item: Waiting): void {
    const waiting = this.#waiting.get(user)
    if (waiting !== undefined) {
      waiting.push(item)
      return
    }
    this.#waiting.set(user, [item])
    // What is returned in this turn of the event loop leaves in one command.
    setImmediate(() => void this.#work(user))
  }

  async #work(user: string): Promise<void> {
    const { log, metrics } = this.#options
    let size = maxLines
    for (;;) {
      const waiting = this.#waiting.get(user) ?? []
      if (waiting.length === 0 || this.#isClosed) break
      const batch = nextBatch(waiting, size)
      try {
        if (!(await this.#publish(user, batch))) {
          const lines = batch.filter(({ line }) => line !== undefined).length
          if (lines > 0) metrics.dropped.inc({ kind: 'event', reason: 'returned-signed-out' }, lines)
        }
        waiting.splice(0, batch.length)
        for (const { done } of batch) done()
        size = maxLines
      } catch (error) {
        const { code } = NetworkError.from(error)
        if (code !== 'unavailable' && code !== 'rate-limited') {
          log.error({ err: error, login: user, lines: batch.length }, 'lines cannot be returned')
          // Perhaps they are too large together; one alone that cannot be carried holds up no others.
          if (batch.length === 1) {
            metrics.dropped.inc({ kind: 'event', reason: 'too-large' })
            for (const { done } of waiting.splice(0, 1)) done()
          }
          size = 1
          continue
        }
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
    const key = `${bus.processId}.returned.${(++this.#count).toString(36)}`
    placements.sent(user, key)
    publisher.publish({
      key,
      user,
      resource: batch[0]?.resource ?? '',
      generation: placement.generation,
      forwards: 0,
      traceparent: '',
      stanzaId: '',
      command: joined(batch),
    })
    await publisher.durable()
    return true
  }
}

const keyOf = (user: string, resource: string, node: string): string => `${user}/${resource}\n${node}`

/** Lines that follow each other, as many as one command holds; or something else, alone. */
function nextBatch(waiting: readonly Waiting[], size: number): readonly Waiting[] {
  const other = waiting.findIndex(({ line }) => line === undefined)
  if (other === 0) return waiting.slice(0, 1)
  return waiting.slice(0, other === -1 ? size : Math.min(size, other))
}

function joined(batch: readonly Waiting[]): Waiting['command'] | undefined {
  const messages = batch.flatMap(({ command }) => (command.$case === 'messagesReturned' ? command.value.messages : []))
  return messages.length === 0 ? batch[0]?.command : { $case: 'messagesReturned', value: { messages } }
}
