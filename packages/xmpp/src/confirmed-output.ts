import { escapeAttribute, exceeds } from './xml.ts'

/** Something to be written: stanzas that are confirmed together. */
export interface OutputItem {
  /** Each one whole stanza in strict XML (see xml.ts). One beyond the server's limit is left out and counted. */
  readonly stanzas: readonly string[]
  /** Streams that it has died with before, as {@link onReopened} told. Default 0. */
  readonly deaths?: number
  /** What {@link ConfirmedOutput.withdraw} knows it by. */
  readonly owner?: object
  /** The server has processed it. */
  onConfirmed?(): void
  /** It was withdrawn before it was written. */
  onWithdrawn?(): void
  /**
   * A new stream begins, and the item is unconfirmed: it is given back, having died with so many streams, and whoever sent it
   * sends it again if it still should go. Without this it is written again as it is.
   */
  onReopened?(deaths: number): void
  /** The stream died three times with this item unconfirmed, the last time with nothing else: it is not sent again. */
  onPoison?(): void
}

/** Why stanzas are not written, or not written again. */
export type Discarded = 'too-large' | 'poison'

export interface OutputOptions {
  /** Whom the barriers are from: a full JID of the component's domain. */
  readonly from: string
  /** Whom they are to: the component. */
  readonly to: string
  /** Bytes of one stanza. The server closes the whole stream for a larger one. */
  readonly maxStanzaBytes: number
  /** So many stanzas are given up. */
  onDiscarded?(reason: Discarded, stanzas: number): void
  /** A stream ended with so many stanzas written and not confirmed: they are written again on the next, or given back to their source. */
  onUnconfirmed?(stanzas: number): void
  /** Writes to the live stream. */
  write(xml: string): void
  /** True when all that was written has gone to the kernel. */
  isDrained(): boolean
  /** Nothing has come back for 15 s, or no barrier for a minute. Called each second while that lasts. */
  abandon(reason: string): void
  /** The server is alive and has never returned a barrier: from now on what is written counts as processed. */
  onUnconfirmable?(): void
  /** Milliseconds, monotonic. */
  now(): number
  /** A barrier returned so long after it was written. */
  onBarrier?(latencyMs: number): void
}

/** Stanzas between barriers, at most. */
const barrierStanzas = 200
/** How long a stanza waits for its barrier. */
const barrierDelayMs = 5
/** A server that says other things for so long and has never returned a barrier does not return them at all. */
const proofMs = 5_000
/** A server that has said nothing for so long, with a barrier on its way, has a dead stream. */
const silenceMs = 15_000
/** One that talks may have much to do before a barrier is its turn, but not so much. */
const slownessMs = 60_000
/** How often that is looked at; after a multiple of it this process itself stood still, and the answers are still unread. */
const checkMs = 1_000
const standstillMs = 3_000
/** Barriers may be lost on their way back, so that some in other names are written when one is late, and again when all are. */
const lateMs = 5_000
/** The same before any has returned. */
const firstLateMs = 1_000
const barrierNames = 16
const namesAtOnce = 3
/** An idle stream is tried as often. */
const idleMs = 30_000
/** Written and unconfirmed, at most, in UTF-16 units. */
const windowLength = 1024 * 1024
/** Queued in all, from where on the source should wait. */
const congestedLength = 8 * 1024 * 1024

interface Entry {
  readonly item: OutputItem
  readonly xml: string
  readonly stanzas: number
  deaths: number
}

interface Barrier {
  readonly id: string
  /** Entries that were written before it, counted since the stream began. */
  readonly covers: number
  readonly writtenAt: number
  readonly name: number
}

/**
 * Output whose processing the server confirms. XEP-0114 has no acknowledgements, so an IQ ping to ourselves (XEP-0199)
 * follows the stanzas: servers process a stream in order, and its return on that stream proves that all before it was
 * processed. A server that shares out over several connections what is for the component chooses by the sender: where it counts
 * on one that is dead, barriers in one name are all lost, so that they change to other names when one is late, and keep to what
 * returns. What is unconfirmed when a stream dies is written again on the next one, in order; an item that kills streams
 * is found by sending the suspects one at a time.
 *
 * A server that lets components talk but not to themselves can confirm nothing. It is recognised by what it says meanwhile;
 * then an item is done once the kernel has it, until a barrier returns after all.
 *
 * Everything that is sent in one turn of the event loop leaves in one write.
 */
export class ConfirmedOutput {
  readonly #options: OutputOptions
  #waiting = new Fifo<Entry>()
  #unconfirmed = new Fifo<Entry>()
  #barriers: Barrier[] = []
  #stream = 0
  #isOpen = false
  /** Why no barrier can return just now. */
  readonly #pauses = new Set<'reading' | 'detour'>()
  #isHushed = false
  #resumedAt = 0
  /** Entries written, and confirmed, on this stream. */
  #written = 0
  #confirmed = 0
  #unbarriered = 0
  #unconfirmedLength = 0
  #waitingLength = 0
  /** The only item on its way while suspects are tried. */
  #suspect: Entry | undefined
  #isFlushQueued = false
  #barrierTimer: NodeJS.Timeout | undefined
  #silenceTimer: NodeJS.Timeout | undefined
  #lastBarrierAt = 0
  /** Whether a barrier has ever returned, on any stream; `absent`: none does. */
  #proof: 'unknown' | 'given' | 'absent' = 'unknown'
  #heardAt = Number.NEGATIVE_INFINITY
  #checkedAt = 0
  #barrierCount = 0
  /** Whom barriers are from: 0 for the component's process, else one of its users. */
  #name = 0
  #namedAt = Number.NEGATIVE_INFINITY
  #wasCongested = false
  #reliefs = new Set<() => void>()
  #idles = new Set<() => void>()

  constructor(options: OutputOptions) {
    this.#options = options
  }

  /** False once the server is known not to return what the component sends to itself: what is written counts as delivered then. */
  get isConfirming(): boolean {
    return this.#proof !== 'absent'
  }

  /** True while so much waits that the source should not produce more. */
  get isCongested(): boolean {
    return this.#waitingLength + this.#unconfirmedLength > congestedLength
  }

  /** Items that are not confirmed yet, written or not. */
  get backlog(): number {
    return this.#waiting.size + this.#unconfirmed.size
  }

  /** Called each time after congestion when half of it is gone. */
  onRelief(listener: () => void): void {
    this.#reliefs.add(listener)
  }

  /** Queues what fits and returns how many stanzas that are. An item of which nothing is left is confirmed at once. */
  send(item: OutputItem): number {
    let xml = ''
    let stanzas = 0
    for (const stanza of item.stanzas) {
      // Measured here, as it is written: escaping makes six bytes of one character.
      if (exceeds(stanza, this.#options.maxStanzaBytes)) continue
      xml += stanza
      stanzas++
    }
    if (stanzas < item.stanzas.length) this.#options.onDiscarded?.('too-large', item.stanzas.length - stanzas)
    if (stanzas === 0) {
      item.onConfirmed?.()
      return 0
    }
    this.#waiting.push({ item, xml, stanzas, deaths: item.deaths ?? 0 })
    this.#waitingLength += xml.length
    if (this.isCongested) this.#wasCongested = true
    this.#queueFlush()
    return stanzas
  }

  /**
   * A new stream: what was unconfirmed on the last goes first, or is given back. `onOpen` is called before anything is given
   * back; what it sends belongs to this stream.
   */
  opened(onOpen?: () => void): void {
    this.#isOpen = true
    const waiting = this.#waiting.drain()
    this.#waiting.unshift(waiting.filter(({ item }) => item.onReopened === undefined))
    this.#stream++
    this.#lastBarrierAt = this.#checkedAt = this.#options.now()
    // The stream's socket keeps the process alive; what watches over it must not.
    this.#silenceTimer = setInterval(() => this.#checkSilence(), checkMs).unref()
    onOpen?.()
    for (const { item, xml, deaths } of waiting) {
      if (item.onReopened === undefined) continue
      this.#waitingLength -= xml.length
      item.onReopened(deaths)
    }
    this.#queueFlush()
    if (this.backlog === 0) this.#settle()
  }

  /** The stream is gone; `isSuspicious` unless it was given up by ourselves, for which no item can be blamed. */
  lost(isSuspicious = true): void {
    if (!this.#isOpen) return
    this.#isOpen = false
    clearTimeout(this.#barrierTimer)
    clearInterval(this.#silenceTimer)
    this.#barrierTimer = undefined
    const suspect = isSuspicious ? this.#suspect : undefined
    this.#suspect = undefined
    const again = this.#unconfirmed.drain()
    if (isSuspicious) for (const entry of again) entry.deaths++
    this.#waiting.unshift(suspect === undefined ? again : again.filter(entry => entry !== suspect))
    this.#waitingLength += this.#unconfirmedLength
    this.#unconfirmedLength = this.#written = this.#confirmed = this.#unbarriered = 0
    const stanzas = again.reduce((sum, entry) => (entry === suspect ? sum : sum + entry.stanzas), 0)
    if (stanzas > 0) this.#options.onUnconfirmed?.(stanzas)
    this.#barriers = []
    if (suspect === undefined) return
    this.#waitingLength -= suspect.xml.length
    this.#options.onDiscarded?.('poison', suspect.stanzas)
    suspect.item.onPoison?.()
  }

  /** The reader stands still, or what other processes have to pass on cannot reach us: silence proves nothing meanwhile. */
  paused(isPaused: boolean, why: 'reading' | 'detour' = 'reading'): void {
    if (isPaused) this.#pauses.add(why)
    else this.#pauses.delete(why)
    this.#resumedAt = this.#options.now()
  }

  /**
   * While true, nothing is written. What is written to a server that has closed its end makes the kernel discard what it had
   * sent before and is unread here.
   */
  hush(isHushed: boolean): void {
    this.#isHushed = isHushed
    if (!isHushed) this.#queueFlush()
  }

  /** Forgets what is queued and not written of this owner. */
  withdraw(owner: object): void {
    const waiting = this.#waiting.drain()
    const kept = waiting.filter(({ item }) => item.owner !== owner)
    this.#waiting.unshift(kept)
    for (const { item, xml } of waiting) {
      if (item.owner !== owner) continue
      this.#waitingLength -= xml.length
      item.onWithdrawn?.()
    }
    if (this.backlog === 0) this.#settle()
  }

  /** What is not confirmed and would be written again as it is; it is forgotten here. */
  takeAnswers(): string[] {
    const entries = [...this.#unconfirmed.drain(), ...this.#waiting.drain()]
    this.#waitingLength = this.#unconfirmedLength = 0
    return entries.filter(({ item }) => item.onReopened === undefined).map(({ xml }) => xml)
  }

  /** The server said something. */
  heard(): void {
    this.#heardAt = this.#options.now()
  }

  /** All that was written has gone to the kernel. */
  drained(): void {
    if (this.#isOpen && this.#proof === 'absent') this.#confirm(this.#written)
  }

  /** A stanza with this id came from ourselves; true when it was a barrier. */
  returned(id: string): boolean {
    if (!id.startsWith('barrier-')) return false
    const index = this.#barriers.findIndex(barrier => barrier.id === id)
    // One of an earlier stream proves nothing about this one.
    if (index === -1) return true
    const barrier = this.#barriers[index] as Barrier
    this.#proof = 'given'
    this.#name = barrier.name
    // Also of those that were written at the same time in other names, which may never return.
    this.#barriers = this.#barriers.filter(({ covers }, place) => place > index && covers > barrier.covers)
    this.#options.onBarrier?.(this.#options.now() - barrier.writtenAt)
    this.#confirm(barrier.covers)
    return true
  }

  /** Fulfils when all is confirmed, or after `deadlineMs`; returns how many items are not. */
  async settled(deadlineMs: number): Promise<number> {
    if (this.backlog === 0) return 0
    await new Promise<void>(resolve => {
      const timer = setTimeout(resolve, deadlineMs)
      this.#idles.add(() => {
        clearTimeout(timer)
        resolve()
      })
    })
    return this.backlog
  }

  #confirm(covers: number): void {
    while (this.#confirmed < covers) {
      const entry = this.#unconfirmed.shift() as Entry
      this.#confirmed++
      this.#unconfirmedLength -= entry.xml.length
      if (entry === this.#suspect) this.#suspect = undefined
      entry.item.onConfirmed?.()
    }
    if (this.#waiting.size > 0) this.#queueFlush()
    if (this.#wasCongested && this.#waitingLength + this.#unconfirmedLength < congestedLength / 2) {
      this.#wasCongested = false
      for (const listener of this.#reliefs) listener()
    }
    if (this.backlog === 0) this.#settle()
  }

  #settle(): void {
    for (const listener of this.#idles) listener()
    this.#idles.clear()
  }

  #queueFlush(): void {
    if (this.#isFlushQueued || !this.#isOpen) return
    this.#isFlushQueued = true
    setImmediate(() => {
      this.#isFlushQueued = false
      if (this.#isOpen) this.#flush()
    })
  }

  #flush(): void {
    if (this.#isHushed) return
    let block = ''
    while (this.#waiting.size > 0 && this.#suspect === undefined && this.#unconfirmedLength < windowLength) {
      const entry = this.#waiting.peek() as Entry
      const isSuspect = entry.deaths >= 2
      // A suspect travels alone: all before it must have been confirmed.
      if (isSuspect && this.#unconfirmed.size > 0) break
      this.#waiting.shift()
      this.#waitingLength -= entry.xml.length
      this.#unconfirmedLength += entry.xml.length
      this.#unconfirmed.push(entry)
      this.#written++
      this.#unbarriered += entry.stanzas
      block += entry.xml
      if (isSuspect) this.#suspect = entry
      if (this.#proof !== 'absent' && (isSuspect || this.#unbarriered >= barrierStanzas)) block += this.#barrier()
    }
    // Nothing may follow a suspect, so its predecessors' barrier cannot wait either.
    if (this.#proof !== 'absent' && this.#unbarriered > 0 && this.#waiting.size > 0) block += this.#barrier()
    if (block !== '') this.#options.write(block)
    if (this.#proof === 'absent') {
      if (this.#options.isDrained()) this.drained()
      return
    }
    if (this.#unbarriered > 0) this.#barrierTimer ??= setTimeout(() => this.#writeBarrier(), barrierDelayMs)
  }

  #writeBarrier(): void {
    this.#barrierTimer = undefined
    if (this.#isOpen && this.#unbarriered > 0 && !this.#isHushed) this.#options.write(this.#barrier())
  }

  #barrier(): string {
    clearTimeout(this.#barrierTimer)
    this.#barrierTimer = undefined
    this.#unbarriered = 0
    const id = `barrier-${this.#stream}-${++this.#barrierCount}`
    const writtenAt = this.#options.now()
    this.#lastBarrierAt = writtenAt
    const name = this.#name
    this.#barriers.push({ id, covers: this.#written, writtenAt, name })
    const own = escapeAttribute(this.#options.from)
    const component = escapeAttribute(this.#options.to)
    if (name === 0)
      return `<iq type="get" id="${id}" from="${own}" to="${component}"><ping xmlns="urn:xmpp:ping"/></iq>`
    // Nobody answers an answer: it comes as it is, to whom it is for.
    return `<iq type="result" id="${id}" from="barrier-${name}@${component}" to="${own}"/>`
  }

  #barriersInOtherNames(): string {
    this.#namedAt = this.#options.now()
    let block = ''
    for (let count = 0; count < namesAtOnce; count++) {
      this.#name = (this.#name + 1) % barrierNames
      block += this.#barrier()
    }
    return block
  }

  /** @param since - nothing kept the server from returning the barrier */
  #isDead(now: number, since: number): boolean {
    return now - Math.max(since, this.#heardAt) > silenceMs || now - since > slownessMs
  }

  #checkSilence(): void {
    const now = this.#options.now()
    if (now - this.#checkedAt > standstillMs) this.#resumedAt = now
    this.#checkedAt = now
    if (this.#pauses.size > 0 || this.#isHushed) return
    if (this.#proof === 'absent') {
      if (now - this.#lastBarrierAt <= idleMs) return
      this.#barriers = []
      this.#options.write(this.#barriersInOtherNames())
      return
    }
    const oldest = this.#barriers[0]
    if (oldest === undefined) {
      if (now - this.#lastBarrierAt > idleMs) this.#options.write(this.#barrier())
    } else if (
      this.#proof === 'unknown' &&
      now - Math.max(oldest.writtenAt, this.#resumedAt) > proofMs &&
      this.#heardAt > oldest.writtenAt
    ) {
      this.#proof = 'absent'
      this.#options.onUnconfirmable?.()
      if (this.#options.isDrained()) this.drained()
    } else if (this.#isDead(now, Math.max(oldest.writtenAt, this.#resumedAt))) {
      this.#options.abandon('the XMPP server does not answer')
    } else if (
      now - Math.max(oldest.writtenAt, this.#resumedAt, this.#namedAt) >
      (this.#proof === 'given' ? lateMs : firstLateMs)
    ) {
      this.#options.write(this.#barriersInOtherNames())
    }
  }
}

/** A queue whose removal at the front is cheap. */
class Fifo<T> {
  #items: T[] = []
  #head = 0

  get size(): number {
    return this.#items.length - this.#head
  }

  push(item: T): void {
    this.#items.push(item)
  }

  peek(): T | undefined {
    return this.#items[this.#head]
  }

  shift(): T | undefined {
    const item = this.#items[this.#head]
    this.#items[this.#head++] = undefined as T
    if (this.#head > 1_024 && this.#head * 2 > this.#items.length) {
      this.#items = this.#items.slice(this.#head)
      this.#head = 0
    }
    return item
  }

  unshift(items: readonly T[]): void {
    this.#items = [...items, ...this.#items.slice(this.#head)]
    this.#head = 0
  }

  drain(): T[] {
    const items = this.#items.slice(this.#head)
    this.#items = []
    this.#head = 0
    return items
  }
}
