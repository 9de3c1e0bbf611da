/** How far a lane is finished, as it is stored. */
export interface CursorRecord {
  epoch: number
  /** The process that wrote it. */
  owner: string
  /** When the stream was made that it is about: for another one of the name nothing of it holds. Absent in records of former releases. */
  stream?: string
  /** The first sequence that is not wholly finished: everything before it may be purged. */
  low: number
  /** Per user the last position up to which the user's items are finished, where it lies at or above low. */
  finished: Record<string, number>
  /** Per publisher the number of its last batch BELOW low (those above will be read again), and when, in seconds. */
  publishers: Record<string, [number: number, seenAt: number]>
  /** Absent when the last owner let go of the lane, or what was unfinished at its death has been finished since. */
  crashes?: CrashRecord
}

export const isCursor = ({ epoch, low, stream = '', finished, publishers }: Partial<CursorRecord>): boolean =>
  [epoch, low].every(Number.isSafeInteger) &&
  typeof stream === 'string' &&
  [finished, publishers].every(map => typeof map === 'object' && map !== null)

/** What owners that died left behind; see {@link Trial}. */
export interface CrashRecord {
  /** Owners that died in a row without low having moved. */
  deaths: number
  /** Low when the last one died. */
  low: number
  /** What may have been handed over by then ends at this sequence. */
  until: number
  /** Positions handed over one by one and not known to be finished. */
  trying: number[]
  /** Other lanes of the process, too, had tried something that was not finished. */
  isInCompany?: boolean
  /** Positions that were tried together when an owner died: tried first alone, patiently. */
  suspects: number[]
  /** Positions that were tried alone when an owner died, and how often. */
  strikes: Record<string, number>
}

/** A position is the stream's sequence times this, plus the ordinal in the batch. */
export const positionsPerMessage = 1024

export const emptyCursor: CursorRecord = { epoch: 0, owner: '', low: 1, finished: {}, publishers: {} }

// Beyond them the record would outgrow a message. What is left out may be doubled after a crash, never lost.
const maxFinishedUsers = 8000
const maxPublishers = 500
/** A publisher that was silent for so long sends nothing again that it sent before. */
const publisherMemorySeconds = 3600

/** One message of the lane, until all its items are finished. */
export interface OpenBatch {
  /** The cursor that opened it: none of another's items. */
  readonly cursor: Cursor
  readonly sequence: number
  readonly publisher: string | undefined
  readonly number: number
  readonly bytes: number
  left: number
}

/** The unfinished items of one user, in order. */
export class UserProgress {
  /** Up to here the user's items are finished. */
  done: number
  #pending: number[] = []
  #head = 0
  #early: Set<number> | undefined

  constructor(done: number) {
    this.done = done
  }

  get isIdle(): boolean {
    return this.#head === this.#pending.length
  }

  start(position: number): void {
    this.#pending.push(position)
  }

  /** In any order; `done` moves only over what is finished without a hole. */
  finish(position: number): void {
    if (this.#pending[this.#head] !== position) {
      this.#early ??= new Set()
      this.#early.add(position)
      return
    }
    this.#advance(position)
    if (this.#early?.size) {
      for (let next = this.#pending[this.#head]; next !== undefined && this.#early.delete(next); )
        next = this.#advance(next)
    }
    if (this.#head === this.#pending.length) this.#pending = []
    else if (this.#head < 256) return
    else this.#pending = this.#pending.slice(this.#head)
    this.#head = 0
  }

  #advance(position: number): number | undefined {
    this.done = position
    return this.#pending[++this.#head]
  }
}

/** The arithmetic of a lane's cursor; no input or output. */
export class Cursor {
  readonly #users = new Map<string, UserProgress>()
  /** Last batch number below low: what a successor must know. */
  #below: Map<string, [number, number]>
  /** Last batch number read. */
  #seen: Map<string, number>
  #batches: OpenBatch[] = []
  #head = 0
  #lastSequence: number
  /** Items delivered and not finished. */
  unfinished = 0
  unfinishedBytes = 0

  constructor(record: CursorRecord) {
    for (const [user, position] of Object.entries(record.finished)) this.#users.set(user, new UserProgress(position))
    this.#below = new Map(Object.entries(record.publishers))
    this.#seen = new Map([...this.#below].map(([publisher, [number]]) => [publisher, number]))
    this.#lastSequence = record.low - 1
  }

  get low(): number {
    return this.#batches[this.#head]?.sequence ?? this.#lastSequence + 1
  }

  /** Whether a batch is new, or was read before under another sequence; `gap` when numbers in between are missing. */
  judge(publisher: string, number: number): 'new' | 'double' | 'gap' {
    const seen = this.#seen.get(publisher)
    if (seen !== undefined && number <= seen) return 'double'
    return seen !== undefined && number > seen + 1 ? 'gap' : 'new'
  }

  /** A message that holds nothing to do. */
  pass(sequence: number): void {
    this.#lastSequence = sequence
  }

  /** A message with `items` items to finish. */
  open(
    sequence: number,
    id: { publisher: string; number: number } | undefined,
    items: number,
    bytes: number,
  ): OpenBatch {
    const batch = { cursor: this, sequence, publisher: id?.publisher, number: id?.number ?? 0, bytes, left: items }
    this.#lastSequence = sequence
    if (id) this.#seen.set(id.publisher, id.number)
    this.#batches.push(batch)
    this.unfinished += items
    this.unfinishedBytes += bytes
    if (items === 0) this.#close(batch)
    return batch
  }

  /** The user's progress; its items up to `done` are finished already and must be skipped. */
  progressOf(user: string): UserProgress {
    let progress = this.#users.get(user)
    if (!progress) {
      progress = new UserProgress(0)
      this.#users.set(user, progress)
    }
    return progress
  }

  /** One item of the batch is finished, or skipped. */
  finish(batch: OpenBatch): void {
    this.unfinished--
    if (--batch.left === 0) this.#close(batch)
  }

  /** What to store; how many users are listed in it, and how many had to be left out. */
  record(epoch: number, owner: string, nowSeconds: number): { record: CursorRecord; users: number; leftOut: number } {
    const { low } = this
    const finished: Record<string, number> = {}
    let users = 0
    let leftOut = 0
    for (const [user, progress] of this.#users) {
      if (progress.done >= low * positionsPerMessage) {
        if (users === maxFinishedUsers) leftOut++
        else {
          finished[user] = progress.done
          users++
        }
      } else if (progress.isIdle) this.#users.delete(user)
    }
    this.#forgetPublishers(nowSeconds)
    return { record: { epoch, owner, low, finished, publishers: Object.fromEntries(this.#below) }, users, leftOut }
  }

  #close(batch: OpenBatch): void {
    this.unfinishedBytes -= batch.bytes
    const now = Math.floor(Date.now() / 1000)
    while (this.#batches[this.#head]?.left === 0) {
      const { publisher, number } = this.#batches[this.#head++] as OpenBatch
      if (publisher !== undefined) this.#below.set(publisher, [number, now])
    }
    if (this.#head === this.#batches.length) this.#batches = []
    else if (this.#head < 1024) return
    else this.#batches = this.#batches.slice(this.#head)
    this.#head = 0
  }

  #forgetPublishers(nowSeconds: number): void {
    let excess = this.#below.size - maxPublishers
    const oldestFirst = excess > 0 ? [...this.#below].sort((a, b) => a[1][1] - b[1][1]) : this.#below
    for (const [publisher, [, seenAt]] of oldestFirst) {
      if (excess-- <= 0 && nowSeconds - seenAt < publisherMemorySeconds) continue
      this.#below.delete(publisher)
      this.#seen.delete(publisher)
    }
  }
}
