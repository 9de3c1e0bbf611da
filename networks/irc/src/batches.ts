import { type Line, tagOf } from './line.ts'

/** Batches of the past that may be open at once, those given up included; the oldest gives way. */
const MAX_OPEN = 16
/** Lines of one batch, more than any page that is asked for. */
const MAX_LINES = 4_000
/** Bytes of all open batches of one connection. */
const MAX_BYTES = 4 * 1024 * 1024
/** A batch that does not end in that time counts as ended. */
const MAX_OPEN_MS = 30_000

/** One complete batch. */
export interface Batch {
  readonly type: string
  /** The channel or nick that it is about; empty where it names none. */
  readonly target: string
  /** The server says that there is nothing after it. */
  readonly isEnd: boolean
  readonly lines: readonly Line[]
}

interface Open extends Batch {
  readonly ref: string
  readonly lines: Line[]
  readonly sinceMs: number
  bytes: number
  /** Given up: what still comes of it is dropped. */
  isOver: boolean
}

/** What batches are put aside for: lines of all others are handled as they come. */
const collected: ReadonlySet<string> = new Set([
  'chathistory',
  'draft/chathistory',
  'draft/chathistory-targets',
  'chathistory-targets',
])

/**
 * Batches that tell the past (IRCv3 batch, chathistory): their lines must not be taken for news and are handed over together
 * when the batch ends. A batch inside another belongs to the outer one. Bounded: what is too much is dropped and counted.
 */
export class Batches {
  readonly #onBatch: (batch: Batch) => void
  readonly #count: (reason: string) => void
  /** By reference; a nested batch has the outer one's record. */
  readonly #open = new Map<string, Open>()
  #bytes = 0

  constructor(onBatch: (batch: Batch) => void, count: (reason: string) => void) {
    this.#onBatch = onBatch
    this.#count = count
  }

  /** True when the line is a batch's own or belongs to one that is put aside. */
  take(line: Line, nowMs: number): boolean {
    if (line.command === 'BATCH') {
      this.#onBatchLine(line, nowMs)
      return true
    }
    if (this.#open.size === 0) return false
    const ref = tagOf(line, 'batch')
    const open = ref === undefined ? undefined : this.#open.get(ref)
    if (open === undefined) return false
    this.#add(open, line)
    return true
  }

  /** Ends the batches about a target as if their end had come; what still comes of them is dropped. */
  giveUp(isMeant: (target: string) => boolean): void {
    for (const open of new Set(this.#open.values())) {
      if (open.isOver || !isMeant(open.target)) continue
      open.isOver = true
      this.#count('history-unfinished')
      this.#complete(open)
    }
  }

  /** Gives up what has been open for too long. */
  tick(nowMs: number): void {
    for (const [ref, open] of [...this.#open]) {
      if (nowMs - open.sinceMs <= MAX_OPEN_MS) continue
      if (!open.isOver) this.giveUp(target => target === open.target)
      if (nowMs - open.sinceMs > 2 * MAX_OPEN_MS) this.#open.delete(ref)
    }
  }

  clear(): void {
    this.#open.clear()
    this.#bytes = 0
  }

  #add(open: Open, line: Line): void {
    if (open.isOver) return this.#count('history-late')
    const bytes = line.tags.length + line.source.length + line.params.reduce((sum, param) => sum + param.length, 16)
    if (open.lines.length >= MAX_LINES || this.#bytes + bytes > MAX_BYTES) return this.#count('history-overflow')
    open.lines.push(line)
    open.bytes += bytes
    this.#bytes += bytes
  }

  #onBatchLine(line: Line, nowMs: number): void {
    const [word = '', type = '', target = ''] = line.params
    const ref = word.slice(1)
    if (ref === '' || (word[0] !== '+' && word[0] !== '-')) return this.#count('malformed-batch')
    if (word[0] === '-') return this.#end(ref)
    const outer = this.#open.get(tagOf(line, 'batch') ?? '')
    if (outer === undefined && !collected.has(type)) return
    if (this.#open.has(ref)) return this.#count('malformed-batch')
    if (this.#open.size >= MAX_OPEN) this.#makeRoom()
    const isEnd = /(^|;)(draft\/)?chathistory-end(=|;|$)/.test(line.tags)
    this.#open.set(ref, outer ?? { ref, type, target, isEnd, lines: [], sinceMs: nowMs, bytes: 0, isOver: false })
  }

  #end(ref: string): void {
    const open = this.#open.get(ref)
    if (open === undefined) return
    this.#open.delete(ref)
    // An inner one: its lines are the outer one's.
    if (open.ref !== ref) return
    for (const [other, { ref: outer }] of [...this.#open]) if (outer === ref) this.#open.delete(other)
    if (!open.isOver) this.#complete(open)
  }

  #complete(open: Open): void {
    this.#bytes -= open.bytes
    const { type, target, isEnd, lines } = open
    this.#onBatch({ type, target, isEnd, lines })
  }

  #makeRoom(): void {
    const [ref, open] = this.#open.entries().next().value ?? []
    if (ref === undefined || open === undefined) return
    this.#count('history-unfinished')
    this.#open.delete(ref)
    if (open.ref === ref && !open.isOver) this.#bytes -= open.bytes
    if (open.ref === ref) for (const [other, inner] of [...this.#open]) if (inner === open) this.#open.delete(other)
  }
}
