/** One thing to be told to a resource that has to be asked first whether it is there. */
export interface Held {
  /** Grows with the time at which it came first: what a stream died with may come again behind what came later. */
  readonly order: number
  readonly bytes: number
  /** The resource is there, and it is this one's turn. */
  release(): void
  /** The resource is not there. */
  giveBack(): void
}

export interface ResourceTrustOptions {
  /** Asks the resource (XEP-0199); the id comes back in the answer. */
  ping(fullJid: string, id: string): void
  /** What the server told the resource last may not have reached it: it is gone, or somebody new has its name. */
  onLost?(fullJid: string): void
  /** The resource is there, in a time of mistrust. */
  onHeard?(fullJid: string): void
  /** The server or the resource says that it is not there. Of one that does not answer nobody knows that. */
  onGone(fullJid: string): void
  /** The time of mistrust is over. */
  onOver?(): void
  /** So many bytes are held now. */
  onHeld(bytes: number): void
  /** How long after a new stream resources are mistrusted. Default 2 min. */
  readonly windowMs?: number
}

const windowMs = 120_000
const answerMs = 10_000
/**
 * After a restart of the server whoever answers may be a client that has just come back, and knows nothing: it says so within
 * this time, by presence or a join.
 */
const graceMs = 1_500
/** Of one resource. */
const maxHeldItems = 1_000
const maxHeldBytes = 256 * 1024
/** Asked and not yet answered; the others wait for their turn. */
const maxOpenPings = 200

/** In answers: whose they are. */
const idPrefix = 'check-'

interface Asked {
  readonly held: Held[]
  bytes: number
  /** Empty while it waits for its turn. */
  id: string
  timer: NodeJS.Timeout | undefined
}

/**
 * Which resources are there. After a new stream to the XMPP server nothing is known: the server may have been restarted, and
 * what is sent to a resource that it has lost is lost as well. So for a time each resource is asked before it is told anything,
 * and what is for it waits, in order. Who speaks is there.
 */
export class ResourceTrust {
  readonly #options: ResourceTrustOptions
  readonly #asked = new Map<string, Asked>()
  readonly #queue = new Set<string>()
  /** Heard or answered on this stream; kept while the window is open. */
  readonly #trusted = new Set<string>()
  readonly #gone = new Set<string>()
  /** Said that they are available while there was no stream, as others heard. */
  readonly #returned = new Set<string>()
  #openPings = 0
  #heldBytes = 0
  #pingCount = 0
  #isOnline = false
  #isRestart = false
  #window: NodeJS.Timeout | undefined

  constructor(options: ResourceTrustOptions) {
    this.#options = options
  }

  /** It is a time of mistrust. */
  get isInDoubt(): boolean {
    return this.#window !== undefined
  }

  get heldBytes(): number {
    return this.#heldBytes
  }

  /**
   * There is a new stream. `isMistrusted`: the server may have lost resources since the last. `isRestart`: it has been restarted, as
   * far as is known; the first resource that is gone tells that as well.
   */
  opened(isMistrusted: boolean, isRestart = false): void {
    this.#isOnline = true
    this.#isRestart = isMistrusted && isRestart
    this.#trusted.clear()
    this.#gone.clear()
    clearTimeout(this.#window)
    this.#window = undefined
    if (isMistrusted) {
      this.#window = setTimeout(() => this.#close(), this.#options.windowMs ?? windowMs)
      this.#window.unref()
    }
    const returned = [...this.#returned]
    this.#returned.clear()
    for (const fullJid of returned) this.heard(fullJid, true)
    this.#askNext()
  }

  /** The stream is gone: whoever was asked is asked again on the next. */
  lost(): void {
    this.#isOnline = false
    // Mistrust does not end while there is no stream.
    clearTimeout(this.#window)
    for (const [fullJid, asked] of this.#asked) {
      clearTimeout(asked.timer)
      asked.id = ''
      this.#queue.add(fullJid)
    }
    this.#openPings = 0
  }

  /** Whether what is for the resource may be written now. */
  isTrusted(fullJid: string): boolean {
    if (this.#asked.has(fullJid)) return false
    return this.#window === undefined || this.#trusted.has(fullJid)
  }

  /** Something for a resource that is not trusted. */
  hold(fullJid: string, held: Held): void {
    if (this.#gone.has(fullJid)) return held.giveBack()
    const asked = this.#ask(fullJid)
    const younger = asked.held.findLastIndex(({ order }) => order < held.order) + 1
    asked.held.splice(younger, 0, held)
    asked.bytes += held.bytes
    this.#changeHeld(held.bytes)
    if (asked.held.length > maxHeldItems || asked.bytes > maxHeldBytes) this.#notThere(fullJid)
  }

  /** Asks the resource, unless this stream has heard of it since it began. */
  check(fullJid: string): void {
    if (!this.#trusted.has(fullJid) && !this.#gone.has(fullJid)) this.#ask(fullJid)
  }

  /** The resource spoke; `isPresence`: it said that it is available. */
  heard(fullJid: string, isPresence = false): void {
    if (!this.#isOnline) return void (isPresence && this.#returned.add(fullJid))
    if (this.#window === undefined && this.#asked.size === 0) return
    const isAnew = isPresence && this.#isRestart && !this.#trusted.has(fullJid) && !this.#gone.has(fullJid)
    this.#gone.delete(fullJid)
    if (this.#window !== undefined) this.#trusted.add(fullJid)
    if (isAnew) this.#options.onLost?.(fullJid)
    for (const held of this.#settle(fullJid)) isAnew ? held.giveBack() : held.release()
    // Behind that: what was for the resource may now be for the person.
    this.#options.onHeard?.(fullJid)
  }

  /** The resource is known to be gone. */
  left(fullJid: string): void {
    this.#returned.delete(fullJid)
    this.#trusted.delete(fullJid)
  }

  /** An answer to an IQ of ours; true when it was one to {@link ResourceTrustOptions.ping}. */
  answered(fullJid: string, id: string, isGone: boolean): boolean {
    if (!id.startsWith(idPrefix)) return false
    if (this.#asked.get(fullJid)?.id !== id) {
      // Late, it still says that somebody is there.
      if (!isGone && this.#gone.has(fullJid)) this.heard(fullJid)
      return true
    }
    if (isGone) {
      // Whoever says nothing may only be slow; this one is certainly gone.
      if (this.#window !== undefined) this.#isRestart = true
      this.#notThere(fullJid)
      this.#options.onGone(fullJid)
    } else if (this.#isRestart) this.#awaitPresence(fullJid)
    else this.heard(fullJid)
    return true
  }

  /** Nothing is held any more, nor given back. */
  close(): void {
    clearTimeout(this.#window)
    this.lost()
    this.#asked.clear()
    this.#queue.clear()
    this.#changeHeld(-this.#heldBytes)
  }

  #ask(fullJid: string): Asked {
    let asked = this.#asked.get(fullJid)
    if (asked === undefined) {
      asked = { held: [], bytes: 0, id: '', timer: undefined }
      this.#asked.set(fullJid, asked)
      this.#queue.add(fullJid)
      this.#askNext()
    }
    return asked
  }

  #askNext(): void {
    for (const fullJid of this.#queue) {
      if (!this.#isOnline || this.#openPings >= maxOpenPings) return
      this.#queue.delete(fullJid)
      const asked = this.#asked.get(fullJid)
      if (asked === undefined) continue
      asked.id = `${idPrefix}${++this.#pingCount}`
      asked.timer = setTimeout(() => this.#notThere(fullJid), answerMs)
      this.#openPings++
      this.#options.ping(fullJid, asked.id)
    }
  }

  /** It is there; whether it is the one that was told before will show in a moment. */
  #awaitPresence(fullJid: string): void {
    const asked = this.#asked.get(fullJid)
    if (asked === undefined) return
    clearTimeout(asked.timer)
    this.#openPings--
    asked.id = ''
    asked.timer = setTimeout(() => this.heard(fullJid), graceMs)
    this.#askNext()
  }

  #notThere(fullJid: string): void {
    if (this.#window !== undefined) this.#gone.add(fullJid)
    const all = this.#settle(fullJid)
    this.#options.onLost?.(fullJid)
    for (const held of all) held.giveBack()
  }

  #settle(fullJid: string): readonly Held[] {
    const asked = this.#asked.get(fullJid)
    if (asked === undefined) return []
    this.#asked.delete(fullJid)
    this.#queue.delete(fullJid)
    clearTimeout(asked.timer)
    if (asked.id !== '') this.#openPings--
    this.#changeHeld(-asked.bytes)
    this.#askNext()
    return asked.held
  }

  #changeHeld(bytes: number): void {
    this.#heldBytes += bytes
    if (bytes !== 0) this.#options.onHeld(this.#heldBytes)
  }

  /** Who is not back by now is told of as gone, and asked no more. */
  #close(): void {
    this.#window = undefined
    this.#trusted.clear()
    this.#gone.clear()
    this.#options.onOver?.()
  }
}
