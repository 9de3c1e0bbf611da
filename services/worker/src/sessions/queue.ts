import type { Delivery } from '@spectrum/bus'
import { type Command, commandCodec } from '@spectrum/messages'
import { NetworkError } from '@spectrum/network'

/** What a session's queue asks of the session. */
export interface QueueOwner {
  readonly maxItems: number
  readonly maxBytes: number
  /** False: nothing may be handled now; {@link CommandQueue.resume} is called when that changes. */
  mayRun(): boolean
  /** Handles one command; a promise when that takes time, and the next one waits for it. Answers failures itself, never throws. */
  handle(command: Command): void | Promise<void>
  /** Answers a command that found the queue full. */
  refuse(command: Command, error: NetworkError): void
  /** Goes up whenever something changed that a new owner must know. */
  changes(): number
  /** Calls back once the present state is stored. */
  afterSnapshot(done: () => void): void
  /** The item and all before it are done. */
  finish(delivery: Delivery<Command>): void
}

interface Entry {
  readonly delivery: Delivery<Command>
  readonly bytes: number
  isSettled: boolean
}

/**
 * The commands of one session, one at a time in order. The fast path: nothing waits and the handler returns at once, then
 * the item is done at once and nothing is allocated. Items are finished in the order in which they came, one that changed
 * the session after its snapshot; a refused one is finished at once, and the cursor remembers that.
 */
export class CommandQueue {
  readonly #owner: QueueOwner
  readonly #waiting: Entry[] = []
  /** All that came and is not finished, oldest first; what waits is its tail. */
  readonly #open: Entry[] = []
  #bytes = 0
  #isBusy = false
  #isClosed = false

  constructor(owner: QueueOwner) {
    this.#owner = owner
  }

  /** Commands that wait; the one being handled is not among them. */
  get length(): number {
    return this.#waiting.length
  }

  offer(delivery: Delivery<Command>): void {
    if (!this.#isBusy && this.#waiting.length === 0 && this.#owner.mayRun()) return this.#runNew(delivery)
    const bytes = commandCodec.sizeOf(delivery.item)
    const isFull = this.#waiting.length >= this.#owner.maxItems || this.#bytes + bytes > this.#owner.maxBytes
    // Control items are few and must not be refused: a session could not be stopped.
    if (isFull && !isControl(delivery.item)) {
      this.#owner.refuse(delivery.item, new NetworkError('rate-limited', 'Too many messages wait to be sent.'))
      // At once: were it to wait for those before it, one flooding user would fill the lane for everybody.
      return this.#owner.finish(delivery)
    }
    const entry = { delivery, bytes, isSettled: false }
    this.#bytes += bytes
    this.#waiting.push(entry)
    this.#open.push(entry)
  }

  /** Goes on with what waits. */
  resume(): void {
    while (!this.#isBusy && !this.#isClosed && this.#waiting.length > 0 && this.#owner.mayRun()) {
      const entry = this.#waiting.shift() as Entry
      this.#bytes -= entry.bytes
      const before = this.#owner.changes()
      const outcome = this.#owner.handle(entry.delivery.item)
      if (outcome === undefined) this.#settle(entry, before)
      else this.#waitFor(outcome, entry, before)
    }
  }

  /** Ends the queue and gives back what was not begun; the item being handled is still finished when it settles. */
  close(): Delivery<Command>[] {
    this.#isClosed = true
    const rest = this.#waiting.splice(0).map(entry => entry.delivery)
    const begun = this.#open.filter(entry => entry.isSettled || !rest.includes(entry.delivery))
    this.#open.splice(0, Number.POSITIVE_INFINITY, ...begun)
    this.#bytes = 0
    return rest
  }

  /** A command is being handled. */
  get isBusy(): boolean {
    return this.#isBusy
  }

  /** After {@link close}: gives back what was begun and is not done. It is begun anew elsewhere, and never finished here. */
  takeBack(): Delivery<Command>[] {
    return this.#open.splice(0).flatMap(entry => {
      if (!entry.isSettled) return [entry.delivery]
      this.#owner.finish(entry.delivery)
      return []
    })
  }

  #runNew(delivery: Delivery<Command>): void {
    const before = this.#owner.changes()
    const outcome = this.#owner.handle(delivery.item)
    if (outcome === undefined && this.#owner.changes() === before && this.#open.length === 0)
      return this.#owner.finish(delivery)
    const entry = { delivery, bytes: 0, isSettled: false }
    this.#open.push(entry)
    if (outcome === undefined) this.#settle(entry, before)
    else this.#waitFor(outcome, entry, before)
  }

  #waitFor(outcome: Promise<void>, entry: Entry, before: number): void {
    this.#isBusy = true
    outcome.then(() => {
      this.#isBusy = false
      this.#settle(entry, before)
      this.resume()
    })
  }

  #settle(entry: Entry, before: number): void {
    const settled = () => {
      entry.isSettled = true
      this.#finishHead()
    }
    if (this.#owner.changes() === before) settled()
    else this.#owner.afterSnapshot(settled)
  }

  #finishHead(): void {
    let count = 0
    while (this.#open[count]?.isSettled) this.#owner.finish((this.#open[count++] as Entry).delivery)
    if (count > 0) this.#open.splice(0, count)
  }
}

/** What must not be refused: it ends or begins a session, or holds lines of others. */
const controls: ReadonlySet<string> = new Set([
  'startSession',
  'stopSession',
  'componentConnected',
  'messagesReturned',
  'returnsComplete',
])

const isControl = ({ command }: Command): boolean => command !== undefined && controls.has(command.$case)
