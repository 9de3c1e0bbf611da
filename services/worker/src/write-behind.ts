import { setTimeout as delay } from 'node:timers/promises'
import {
  SavedSession,
  type SaveSessionsRequest,
  type SessionSnapshot,
  type SessionSnapshot_JoinedRoom,
} from '@spectrum/messages'
import { type Logger, NetworkError } from '@spectrum/network'
import { fingerprint } from './sessions/occupants.ts'

/** The backend whose sessions are saved, as far as it matters here. */
export interface SavingBackend {
  readonly number: number
  readonly epoch: number
  readonly isLost: boolean
}

/** What became of sessions: saved, waiting to be tried again, or dropped, with the reason. */
export type SaveResult = 'saved' | 'failed' | 'backend-lost' | 'too-large' | 'too-many' | 'refused'

export interface WriteBehindOptions {
  readonly process: string
  readonly log: Logger
  /** Hands them to any router; rejects NetworkErrors. */
  save(request: SaveSessionsRequest): Promise<unknown>
  onResult(result: SaveResult, count: number): void
  /** How long changes are gathered; default 2 s. */
  readonly gatherMs?: number
  /** Sessions that may wait; default 50,000. */
  readonly maxWaiting?: number
}

interface Waiting {
  readonly backend: SavingBackend
  readonly session: SavedSession
  readonly bytes: number
}

const maxPerCall = 500
const maxBytesPerCall = 256 * 1024
/** What the bus carries in one request. */
const maxBytesEach = 900 * 1024
/** Occupants of all rooms of a session who are known in a copy, by a hash of four bytes each. */
const maxHashes = 1_024
/** An end is told soon: whoever restores sessions must not revive one that is over. */
const endGatherMs = 100
const firstRetryMs = 500
const lastRetryMs = 5_000

/**
 * Copies of sessions for the router's database, from which they are restored when the bus has lost its tables. Only the last state
 * of each session waits; while routers or the database are away it waits for them.
 */
export class WriteBehind implements AsyncDisposable {
  readonly #options: WriteBehindOptions
  readonly #waiting = new Map<string, Waiting>()
  #timer: NodeJS.Timeout | undefined
  #dueMs = Number.POSITIVE_INFINITY
  #flushing: Promise<void> | undefined
  #retryMs = 0
  #isClosed = false

  constructor(options: WriteBehindOptions) {
    this.#options = options
  }

  /** Sessions whose last state is not saved yet. */
  get waiting(): number {
    return this.#waiting.size
  }

  /** A session has changed. */
  changed(backend: SavingBackend, user: string, snapshot: SessionSnapshot): void {
    const { generation } = snapshot
    this.#add(backend, { user, backend: backend.number, epoch: backend.epoch, generation, snapshot: lean(snapshot) })
    this.#schedule(this.#options.gatherMs ?? 2_000)
  }

  /** The session of that generation is over. */
  ended(backend: SavingBackend, user: string, generation: number): void {
    this.#add(backend, { user, backend: backend.number, epoch: backend.epoch, generation, snapshot: undefined })
    this.#schedule(endGatherMs)
  }

  /** Saves what waits of this backend, while it is still ours; gives up after the time. */
  async flush(limitMs: number): Promise<void> {
    const late = new AbortController()
    const limit = delay(limitMs, undefined, { signal: late.signal, ref: false }).catch(() => late.signal.aborted)
    await Promise.race([this.#flushAll(), limit])
    late.abort()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#isClosed = true
    clearTimeout(this.#timer)
    await this.#flushing
  }

  #add(backend: SavingBackend, session: SavedSession): void {
    const { maxWaiting = 50_000, onResult } = this.#options
    const bytes = SavedSession.encode(session).finish().length
    if (bytes > maxBytesEach) return onResult('too-large', 1)
    if (this.#waiting.size >= maxWaiting && !this.#waiting.has(session.user)) return onResult('too-many', 1)
    this.#waiting.set(session.user, { backend, session, bytes })
  }

  #schedule(waitMs: number): void {
    const dueMs = performance.now() + Math.max(waitMs, this.#retryMs)
    if (this.#isClosed || dueMs >= this.#dueMs) return
    clearTimeout(this.#timer)
    this.#dueMs = dueMs
    this.#timer = setTimeout(() => void this.#flushAll(), dueMs - performance.now())
  }

  /** One flush at a time: what is written twice arrives in order. */
  #flushAll(): Promise<void> {
    clearTimeout(this.#timer)
    this.#dueMs = Number.POSITIVE_INFINITY
    const before = this.#flushing
    const flushing = (before === undefined ? this.#saveAll() : before.then(() => this.#saveAll()))
      .catch(error => this.#options.log.error({ err: error }, 'sessions could not be handed to the database'))
      .finally(() => {
        if (this.#flushing === flushing) this.#flushing = undefined
        if (this.#waiting.size > 0) this.#schedule(this.#options.gatherMs ?? 2_000)
      })
    this.#flushing = flushing
    return flushing
  }

  async #saveAll(): Promise<void> {
    for (const batch of batches(this.#waiting.values())) {
      const isSaved = await this.#save(batch)
      if (isSaved) continue
      this.#retryMs = Math.min(lastRetryMs, Math.max(firstRetryMs, this.#retryMs * 2))
      return
    }
    this.#retryMs = 0
  }

  /** False when it makes no sense to go on now. */
  async #save(batch: readonly Waiting[]): Promise<boolean> {
    const { save, process, onResult, log } = this.#options
    const [first] = batch
    if (first === undefined) return true
    if (first.backend.isLost) {
      this.#forget(batch, 'backend-lost')
      return true
    }
    try {
      await save({ process, sessions: batch.map(({ session }) => session) })
      this.#forget(batch, 'saved')
      return true
    } catch (error) {
      const { code } = NetworkError.from(error)
      if (code === 'not-allowed' || code === 'bad-request' || code === 'too-large') {
        // Somebody else runs the backend by now, and saves its sessions; another backend's may be saved all the same.
        log.warn({ err: error, backend: first.backend.number }, 'sessions are not taken for the database')
        this.#forget(batch, 'refused')
        return true
      }
      log.warn({ err: error }, 'sessions cannot be saved now and are tried again')
      onResult('failed', batch.length)
      return false
    }
  }

  /** Unless it has changed again meanwhile. */
  #forget(batch: readonly Waiting[], result: SaveResult): void {
    for (const waiting of batch)
      if (this.#waiting.get(waiting.session.user) === waiting) this.#waiting.delete(waiting.session.user)
    this.#options.onResult(result, batch.length)
  }
}

/** Of one backend each, so that a lost one does not hold up the others. */
function batches(waiting: Iterable<Waiting>): Waiting[][] {
  const done: Waiting[][] = []
  const open = new Map<SavingBackend, { list: Waiting[]; bytes: number }>()
  for (const one of waiting) {
    let batch = open.get(one.backend)
    if (batch === undefined || batch.list.length >= maxPerCall || batch.bytes + one.bytes > maxBytesPerCall) {
      batch = { list: [], bytes: 0 }
      open.set(one.backend, batch)
      done.push(batch.list)
    }
    batch.list.push(one)
    batch.bytes += one.bytes
  }
  return done
}

/**
 * Without what changes all the time and can be done without: joins under way, lines to be told, and of who else is in the rooms
 * all but hashes of some.
 */
function lean(snapshot: SessionSnapshot): SessionSnapshot {
  const missed = { missedLines: [], missedLeftOut: snapshot.missedLeftOut + snapshot.missedLines.length }
  let space = maxHashes
  const rooms = snapshot.rooms.map(room => {
    const toldHashes = hashesOf(room).slice(0, space)
    space -= toldHashes.length
    return { ...room, occupants: [], lookOf: [], looks: [], toldHashes, pending: {} }
  })
  return { ...snapshot, ...missed, rooms }
}

function hashesOf({ occupants, lookOf, looks, toldHashes }: SessionSnapshot_JoinedRoom): number[] {
  const named = occupants.map((nick, index) => fingerprint(nick, looks[lookOf[index] ?? -1] ?? ''))
  return [...named, ...toldHashes]
}
