import { SessionSnapshot, SessionSnapshot_JoinedRoom } from '@spectrum/messages'
import { type FailureCode, type Logger, NetworkError } from '@spectrum/network'
import { bounds } from './bounds.ts'
import { storedLine } from './last-lines.ts'
import { fingerprint } from './occupants.ts'
import type { Room } from './room.ts'
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
  markOutdated(bytesPerSecond = this.#options.lazyBytesPerSecond ?? 64 * 1024): void {
    if (this.#timer !== undefined || this.#isClosed || this.#outdated !== undefined) return
    const { intervalMs } = this.#options
    const waitMs = this.#lastMs + Math.max(intervalMs, (this.#lastBytes * 1_000) / bytesPerSecond) - performance.now()
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
    if (this.#outdated !== undefined) this.#changes++
    if (this.#timer !== undefined || this.#outdated !== undefined) this.#runNow()
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

type Told = Pick<SessionSnapshot_JoinedRoom, 'occupants' | 'lookOf' | 'looks' | 'ownLook' | 'toldHashes'>

const emptyRoom: SessionSnapshot_JoinedRoom = SessionSnapshot_JoinedRoom.create()
const nothingTold: Told = { occupants: [], lookOf: [], looks: [], ownLook: '', toldHashes: [] }

/** What the views know: by name as far as the space goes, then as hashes. Whoever is in neither is told again. */
function toldOf(room: Room, space: { bytes: number; hashes: number }): Told {
  const told: Told = { ...nothingTold, occupants: [], lookOf: [], toldHashes: [] }
  const looks = new Map<string, number>()
  const take = (bytes: number): boolean => {
    const isEnough = bytes <= space.bytes
    if (isEnough) space.bytes -= bytes
    return isEnough
  }
  const { toldSelf = '' } = room
  if (take(Buffer.byteLength(toldSelf) + 4)) told.ownLook = toldSelf
  for (const [nick, look] of room.told) {
    const lookBytes = looks.has(look) ? 0 : Buffer.byteLength(look) + 4
    if (take(Buffer.byteLength(nick) + 4 + lookBytes)) {
      if (lookBytes > 0) looks.set(look, looks.size)
      told.occupants.push(nick)
      told.lookOf.push(looks.get(look) ?? 0)
    } else if (space.hashes-- > 0) told.toldHashes.push(fingerprint(nick, look))
    else break
  }
  for (const hash of room.toldHashes) if (space.hashes-- > 0) told.toldHashes.push(hash)
  return { ...told, looks: [...looks.keys()] }
}

/** What a new owner needs to go on. A room whose JID is spelled in several ways is written once for each. */
export function snapshotOf(session: Session, isLean = false): SessionSnapshot {
  const rooms: SessionSnapshot_JoinedRoom[] = []
  const space = isLean ? { bytes: 0, hashes: 0 } : { bytes: bounds.nickBytes, hashes: bounds.hashes }
  for (const room of session.rooms) {
    const nodes = new Set([...room.views.map(view => view.node), ...room.pending.map(join => join.node)])
    if (nodes.size === 0 && room.isKept) nodes.add(room.node)
    const isIn = room.views.length > 0
    let told = isIn ? toldOf(room, space) : nothingTold
    let toldSubject = isLean || !isIn ? undefined : storable(room.toldSubject)
    for (const node of nodes) {
      rooms.push({
        ...emptyRoom,
        name: room.name,
        node,
        nick: room.shownNick,
        resources: [...(room.views.find(view => view.node === node)?.resources ?? [])],
        password: room.views.length > 0 ? room.password : room.passwordToAsk,
        pending: Object.fromEntries(
          (isLean ? [] : room.pending.filter(join => join.node === node)).map(({ resource, stanzaId }) => [
            resource,
            stanzaId,
          ]),
        ),
        ...told,
        toldSubject,
        ...storedLine(room.durableLine),
        isKept: room.isKept,
        ghostUntilMs: isIn ? (room.ghostUntilMs ?? 0) : 0,
      })
      told = nothingTold
      toldSubject = undefined
    }
  }
  return {
    ...SessionSnapshot.create(),
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
    lastPrivateAtMs: session.lastLines.recorded().privateAtMs,
    ...session.missed.stored(isLean ? 0 : undefined),
  }
}
