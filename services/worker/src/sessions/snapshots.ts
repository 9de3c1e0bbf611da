import type { SessionSnapshot, SessionSnapshot_JoinedRoom } from '@spectrum/messages'
import { type FailureCode, type Logger, NetworkError } from '@spectrum/network'
import { bounds } from './bounds.ts'
import type { Session } from './session.ts'

export interface SnapshotsOptions {
  /** Least time between two writes, and after a failed one: milliseconds. */
  readonly intervalMs: number
  readonly retryMs?: number
  /** How many bytes a second {@link Snapshots.markOutdated} may cost beyond one write per interval; default 64 KiB. */
  readonly lazyBytesPerSecond?: number
  /** What the bus carries for a snapshot; bytes. Default: nothing, so that each write may follow the last at once. */
  sizeOf?(snapshot: SessionSnapshot): number
  /** How long a bus that is there may refuse a snapshot; default 30 s. */
  readonly giveUpMs?: number
  readonly log: Logger
  /** `isLean`: without all that a new owner can do without. */
  read(isLean: boolean): SessionSnapshot
  write(snapshot: SessionSnapshot): Promise<void>
  onResult(result: 'written' | 'failed' | 'lean' | 'given-up'): void
}

/** The bus is away, or the backend may be somebody else's: nothing could be finished now, with a snapshot or without. */
const passing: ReadonlySet<FailureCode> = new Set(['unavailable', 'unreachable'])

/**
 * Keeps the stored snapshot of one session up to date: at most one write at a time and one per interval; a first change
 * after a quiet time is written at the end of this turn of the event loop. While the bus is away a write is tried again for as
 * long as it takes. One that is too large is written lean; what the bus does not take all the same is given up until
 * the next change, for a session must not hold up its backend's lane for ever.
 */
export class Snapshots {
  readonly #options: SnapshotsOptions
  #changes = 0
  #stored = 0
  #waiting: { readonly change: number; readonly done: () => void }[] = []
  #timer: NodeJS.Timeout | NodeJS.Immediate | undefined
  #outdated: NodeJS.Timeout | undefined
  #isWriting = false
  #isClosed = false
  #isLean = false
  #hasToldLean = false
  #hasToldGivenUp = false
  #refusedSinceMs: number | undefined
  #lastMs = Number.NEGATIVE_INFINITY
  #lastBytes = 0

  constructor(options: SnapshotsOptions) {
    this.#options = options
  }

  /** Goes up with every change. */
  get changes(): number {
    return this.#changes
  }

  markChanged(): void {
    this.#changes++
    this.#schedule()
  }

  /** Something changed that a new owner had better know: written with the next change, or alone after a wait that grows with the size. */
  markOutdated(): void {
    if (this.#timer !== undefined || this.#isWriting || this.#isClosed || this.#outdated !== undefined) return
    const { intervalMs, lazyBytesPerSecond = 64 * 1024 } = this.#options
    const waitMs =
      this.#lastMs + Math.max(intervalMs, (this.#lastBytes * 1_000) / lazyBytesPerSecond) - performance.now()
    const write = () => {
      this.#outdated = undefined
      this.markChanged()
    }
    this.#outdated = setTimeout(write, Math.max(0, waitMs)).unref()
  }

  /** Calls back once everything up to now is stored; at once when it is, or when nothing is stored any more. */
  afterStored(done: () => void): void {
    if (this.#isClosed || this.#stored >= this.#changes) return done()
    this.#waiting.push({ change: this.#changes, done })
  }

  /** Fulfils when the present state is stored. */
  async flush(): Promise<void> {
    if (this.#timer !== undefined) this.#runNow()
    await new Promise<void>(resolve => this.afterStored(resolve))
  }

  /** Nothing is written any more; a write under way is waited for. Whoever waits is called back. */
  async close(): Promise<void> {
    this.#isClosed = true
    this.#clearTimer()
    while (this.#isWriting) await new Promise(resolve => setTimeout(resolve, 5))
    for (const { done } of this.#waiting.splice(0)) done()
  }

  #schedule(): void {
    if (this.#timer !== undefined || this.#isWriting || this.#isClosed) return
    const waitMs = this.#lastMs + this.#options.intervalMs - performance.now()
    const write = () => {
      this.#timer = undefined
      this.#write()
    }
    this.#timer = waitMs > 0 ? setTimeout(write, waitMs) : setImmediate(write)
  }

  #runNow(): void {
    this.#clearTimer()
    this.#write()
  }

  #clearTimer(): void {
    clearTimeout(this.#timer as NodeJS.Timeout)
    clearImmediate(this.#timer as NodeJS.Immediate)
    this.#timer = undefined
    clearTimeout(this.#outdated)
    this.#outdated = undefined
  }

  #write(): void {
    if (this.#isWriting || this.#isClosed) return
    const { write, read, onResult } = this.#options
    const change = this.#changes
    this.#isWriting = true
    clearTimeout(this.#outdated)
    this.#outdated = undefined
    this.#lastMs = performance.now()
    const snapshot = read(this.#isLean)
    this.#lastBytes = this.#options.sizeOf?.(snapshot) ?? 0
    write(snapshot).then(
      () => {
        this.#isWriting = false
        this.#stored = change
        this.#refusedSinceMs = undefined
        onResult(this.#isLean ? 'lean' : 'written')
        this.#isLean = false
        this.#callBack()
        if (this.#changes > change) this.#schedule()
      },
      error => {
        this.#isWriting = false
        onResult('failed')
        this.#failed(error, change)
      },
    )
  }

  #failed(error: unknown, change: number): void {
    const { log, onResult, intervalMs, retryMs = 1_000, giveUpMs = 30_000 } = this.#options
    const { code } = NetworkError.from(error)
    const now = performance.now()
    this.#lastMs = now + retryMs - intervalMs
    if (passing.has(code)) {
      log.warn({ err: error }, 'a snapshot could not be written and is tried again')
      return this.#schedule()
    }
    this.#refusedSinceMs ??= now
    if (code === 'too-large' && !this.#isLean) {
      if (!this.#hasToldLean)
        log.error({ err: error }, 'a snapshot is too large and is written without occupants and joins')
      this.#hasToldLean = true
      this.#isLean = true
      return this.#schedule()
    }
    if (code !== 'too-large' && now - this.#refusedSinceMs < giveUpMs) {
      log.warn({ err: error }, 'a snapshot was refused and is tried again')
      return this.#schedule()
    }
    if (!this.#hasToldGivenUp) log.error({ err: error }, 'snapshots are refused: a new owner would find an old one')
    this.#hasToldGivenUp = true
    this.#isLean = false
    onResult('given-up')
    this.#stored = change
    this.#callBack()
    if (this.#changes > change) this.#schedule()
  }

  #callBack(): void {
    const ready = this.#waiting.filter(({ change }) => change <= this.#stored)
    if (ready.length === 0) return
    this.#waiting = this.#waiting.filter(({ change }) => change > this.#stored)
    for (const { done } of ready) done()
  }
}

/** A longer one is told again. */
const storable = (subject: string | undefined): string | undefined =>
  subject !== undefined && Buffer.byteLength(subject) <= bounds.subjectBytes ? subject : undefined

/** What a new owner needs to go on. A room whose JID is spelled in several ways is written once for each. */
export function snapshotOf(session: Session, isLean = false): SessionSnapshot {
  const rooms: SessionSnapshot_JoinedRoom[] = []
  let nickBytes = isLean ? 0 : bounds.nickBytes
  for (const room of session.rooms) {
    const nodes = new Set([...room.views.map(view => view.node), ...room.pending.map(join => join.node)])
    // All of a room's or none: who is missing when the room is joined again has left.
    let occupants: string[] = room.views.length > 0 ? [...room.told.keys()] : []
    let bytes = 0
    for (const nick of occupants) bytes += Buffer.byteLength(nick) + 4
    const looks = new Map<string, number>()
    for (const nick of occupants) {
      const look = room.told.get(nick) ?? ''
      if (looks.has(look)) continue
      looks.set(look, looks.size)
      bytes += Buffer.byteLength(look) + 4
    }
    if (bytes <= nickBytes) nickBytes -= bytes
    else occupants = []
    let toldSubject = isLean || room.views.length === 0 ? undefined : storable(room.toldSubject)
    for (const node of nodes) {
      rooms.push({
        name: room.name,
        node,
        nick: room.nick,
        resources: [...(room.views.find(view => view.node === node)?.resources ?? [])],
        password: room.views.length > 0 ? room.password : room.passwordToAsk,
        pending: Object.fromEntries(
          (isLean ? [] : room.pending.filter(join => join.node === node)).map(({ resource, stanzaId }) => [
            resource,
            stanzaId,
          ]),
        ),
        occupants,
        lookOf: occupants.map(nick => looks.get(room.told.get(nick) ?? '') ?? 0),
        looks: occupants.length > 0 ? [...looks.keys()] : [],
        toldSubject,
      })
      occupants = []
      toldSubject = undefined
    }
  }
  return {
    generation: session.generation,
    username: session.username,
    resources: [...session.resources.entries()].map(([resource, { show, status, priority }]) => ({
      resource,
      show,
      status,
      priority,
    })),
    rooms,
    settings: { ...session.settings },
    lastActiveMs: session.lastActiveMs,
  }
}
