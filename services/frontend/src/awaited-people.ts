/** One thing to be told to a person, whichever of their clients is there. */
export interface ForPerson {
  /** Grows with the time at which it came first: what a stream died with may come again behind what came later. */
  readonly order: number
  readonly bytes: number
  /** It is its turn. */
  release(): void
}

export interface AwaitedPeopleOptions {
  /** So many bytes wait now. */
  onHeld(bytes: number): void
  /** How long after the new stream people are waited for. Default {@link awaitedMs}. */
  readonly waitMs?: number
}

/** As long as a client has to answer. */
export const awaitedMs = 10_000
/** Of one person. */
const maxItems = 1_000
const maxBytes = 256 * 1024

interface Waiting {
  readonly items: ForPerson[]
  bytes: number
}

/**
 * People who are about to come back to an XMPP server that was restarted. What is for their bare JID waits a moment until one
 * of their clients is heard: a server stores what comes before that (XEP-0160), and ejabberd hands it out behind what comes
 * while they return, so that lines change places.
 */
export class AwaitedPeople {
  readonly #options: AwaitedPeopleOptions
  readonly #waiting = new Map<string, Waiting>()
  readonly #back = new Set<string>()
  #isOpen = false
  #bytes = 0
  #timer: NodeJS.Timeout | undefined

  constructor(options: AwaitedPeopleOptions) {
    this.#options = options
  }

  get heldBytes(): number {
    return this.#bytes
  }

  /** There is a new stream; `isRestart`: to a server that was away since the last. Where it was not, its clients are still there. */
  opened(isRestart: boolean): void {
    clearTimeout(this.#timer)
    this.#back.clear()
    this.#isOpen = isRestart
    if (!isRestart) return this.#releaseAll()
    this.#timer = setTimeout(() => {
      this.#isOpen = false
      this.#back.clear()
      this.#releaseAll()
    }, this.#options.waitMs ?? awaitedMs)
    this.#timer.unref()
  }

  /** The stream is gone: what waits does so until the next. */
  lost(): void {
    clearTimeout(this.#timer)
  }

  /** Whether what is for the person is to wait. */
  isAwaited(user: string): boolean {
    return this.#isOpen && !this.#back.has(user)
  }

  /** Something for a person who is awaited. */
  hold(user: string, item: ForPerson): void {
    let waiting = this.#waiting.get(user)
    if (waiting === undefined) {
      waiting = { items: [], bytes: 0 }
      this.#waiting.set(user, waiting)
    }
    const younger = waiting.items.findLastIndex(({ order }) => order < item.order) + 1
    waiting.items.splice(younger, 0, item)
    waiting.bytes += item.bytes
    this.#grow(item.bytes)
    // So much is the server's to keep.
    if (waiting.items.length > maxItems || waiting.bytes > maxBytes) this.heard(user)
  }

  /** A client of theirs spoke, or it does not matter any more. */
  heard(user: string): void {
    if (!this.#isOpen) return
    this.#back.add(user)
    this.#release(user)
  }

  /** What waits is forgotten. */
  close(): void {
    clearTimeout(this.#timer)
    this.#isOpen = false
    this.#waiting.clear()
    this.#grow(-this.#bytes)
  }

  #releaseAll(): void {
    for (const user of [...this.#waiting.keys()]) this.#release(user)
  }

  #release(user: string): void {
    const waiting = this.#waiting.get(user)
    if (waiting === undefined) return
    this.#waiting.delete(user)
    this.#grow(-waiting.bytes)
    for (const item of waiting.items) item.release()
  }

  #grow(bytes: number): void {
    this.#bytes += bytes
    if (bytes !== 0) this.#options.onHeld(this.#bytes)
  }
}
