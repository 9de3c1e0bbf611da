import type { ReceivedMessage } from '@spectrum/network'

/** How long a page of the past may take to come once it was asked for. */
const ANSWER_MS = 10_000
/** How long the question may wait for flood control before that. */
const WAIT_MS = 60_000
/** Live lines that wait for the past. */
const MAX_HELD = 5_000
/** Pages of one gap. */
export const MAX_PAGES = 20

/** The lines of one channel or person between the last that was told and the first that comes live. */
export class Gap {
  /** As it is written to the server. */
  readonly target: string
  /** The next page is asked for after this line. */
  id: string | undefined
  at: number
  readonly #from: number
  readonly #firstId: string | undefined
  /** What the next question names that line by. */
  by: 'msgid' | 'timestamp'
  pages = 0
  /** False once it is filled, or given up: then it only knows what has been told. */
  isOpen = true
  /** When it was closed; monotonic. */
  closedAt = 0
  /** Ids of lines of the past that were told, of the last two pages. */
  #told = new Set<string>()
  #toldBefore: ReadonlySet<string> = new Set()
  readonly #held: ReceivedMessage[] = []
  readonly #heldIds = new Set<string>()
  #timer: NodeJS.Timeout | undefined
  readonly #onLate: () => void

  constructor(target: string, after: { id?: string; at: Date }, by: Gap['by'], onLate: () => void) {
    this.target = target
    this.id = after.id
    this.at = after.at.getTime()
    this.#from = this.at
    this.by = by
    this.#onLate = onLate
    this.#firstId = after.id
  }

  /** False when there is no room for it. */
  hold(message: ReceivedMessage): boolean {
    if (this.#held.length >= MAX_HELD) return false
    this.#held.push(message)
    if (message.id !== undefined) this.#heldIds.add(message.id)
    return true
  }

  /** Came live, and is told after the past. */
  isHeld(id: string | undefined): boolean {
    return id !== undefined && this.#heldIds.has(id)
  }

  /** Asked by time, a server tells lines again that were said just before. */
  isBefore(at: Date): boolean {
    return this.by === 'timestamp' && at.getTime() < this.#from
  }

  isTold(id: string | undefined): boolean {
    return id !== undefined && (id === this.#firstId || this.#told.has(id) || this.#toldBefore.has(id))
  }

  told(id: string | undefined): void {
    if (id !== undefined) this.#told.add(id)
  }

  nextPage(): void {
    this.pages++
    this.#toldBefore = this.#told
    this.#told = new Set()
  }

  /** The question waits for flood control. */
  waits(): void {
    this.#late(WAIT_MS)
  }

  /** The question has left. */
  asked(): void {
    if (this.isOpen) this.#late(ANSWER_MS)
  }

  #late(ms: number): void {
    clearTimeout(this.#timer)
    this.#timer = setTimeout(this.#onLate, ms).unref()
  }

  /** What waited for the past and has not been told as such. */
  settle(now: number): ReceivedMessage[] {
    this.close()
    this.closedAt = now
    this.#heldIds.clear()
    return this.#held.splice(0)
  }

  close(): void {
    clearTimeout(this.#timer)
    this.isOpen = false
  }
}
