import type { SessionSnapshot, SessionSnapshot_JoinedRoom } from '@spectrum/messages'
import type { Logger } from '@spectrum/network'
import type { Session } from './session.ts'

export interface SnapshotsOptions {
  /** Least time between two writes, and after a failed one: milliseconds. */
  readonly intervalMs: number
  readonly retryMs?: number
  /** How long {@link Snapshots.markOutdated} may wait; default 10 s. */
  readonly lazyMs?: number
  readonly log: Logger
  read(): SessionSnapshot
  write(snapshot: SessionSnapshot): Promise<void>
  onResult(result: 'written' | 'failed'): void
}

/**
 * Keeps the stored snapshot of one session up to date: at most one write at a time and one per interval; a first change
 * after a quiet time is written at the end of this turn of the event loop. A write that fails is tried again for as long as it takes.
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
  #lastMs = Number.NEGATIVE_INFINITY

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

  /** Something changed that a new owner had better know: written with the next change, or alone after some seconds. */
  markOutdated(): void {
    if (this.#timer !== undefined || this.#isWriting || this.#isClosed || this.#outdated !== undefined) return
    this.#outdated = setTimeout(() => this.markChanged(), this.#options.lazyMs ?? 10_000).unref()
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
    const { write, read, onResult, log, retryMs = 1_000 } = this.#options
    const change = this.#changes
    this.#isWriting = true
    clearTimeout(this.#outdated)
    this.#outdated = undefined
    this.#lastMs = performance.now()
    write(read()).then(
      () => {
        this.#isWriting = false
        this.#stored = change
        onResult('written')
        this.#callBack()
        if (this.#changes > change) this.#schedule()
      },
      error => {
        this.#isWriting = false
        onResult('failed')
        log.warn({ err: error }, 'a snapshot could not be written and is tried again')
        this.#lastMs = performance.now() + retryMs - this.#options.intervalMs
        this.#schedule()
      },
    )
  }

  #callBack(): void {
    const ready = this.#waiting.filter(({ change }) => change <= this.#stored)
    if (ready.length === 0) return
    this.#waiting = this.#waiting.filter(({ change }) => change > this.#stored)
    for (const { done } of ready) done()
  }
}

/** Most nicks in one snapshot: a snapshot is one message of the bus, and written often. */
const maxNicks = 2_000

/** What a new owner needs to go on. A room whose JID is spelled in several ways is written once for each. */
export function snapshotOf(session: Session): SessionSnapshot {
  const rooms: SessionSnapshot_JoinedRoom[] = []
  let nicks = maxNicks
  for (const room of session.rooms) {
    const nodes = new Set([...room.views.map(view => view.node), ...room.pending.map(join => join.node)])
    let occupants: string[] = room.views.length > 0 && room.told.size <= nicks ? [...room.told.keys()] : []
    nicks -= occupants.length
    for (const node of nodes) {
      rooms.push({
        name: room.name,
        node,
        nick: room.nick,
        resources: [...(room.views.find(view => view.node === node)?.resources ?? [])],
        password: room.password,
        pending: Object.fromEntries(
          room.pending.filter(join => join.node === node).map(({ resource, stanzaId }) => [resource, stanzaId]),
        ),
        occupants,
      })
      occupants = []
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
    lastActiveMs: session.context.clock.now(),
  }
}
