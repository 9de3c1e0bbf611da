/** Which way lines of a stream go. */
export type Direction = 'to IRC' | 'to XMPP'

/** What one speaker says to one listener: the unit in which order is judged. */
export interface Stream {
  /** `u03r>w1`: unique within a ledger. */
  readonly key: string
  readonly direction: Direction
  /** The XMPP user whose session carries it. */
  readonly user: string
}

/** Why a line need not have been delivered. */
export type Excuse =
  /** Said on IRC while the user had no connection in the channel, as the witness saw. */
  | 'not connected'
  /** Handed to a connection that broke, or whose process was killed, within the next moments; neither IRC nor a component stream confirms anything. */
  | 'in flight'
  /** Confirmed by the XMPP server, and not read by the client before that server was killed. */
  | 'confirmed, unread'
  /** The sender's own XMPP server never confirmed that it took it, and the sender knows. */
  | 'never taken'
  /** The sender's XMPP server took it, and ended or lost the component stream before it had passed it on to the gateway. */
  | 'not passed on'

/** One line and what became of it. Times are in ms of one monotonic clock. */
export interface Entry {
  saidAt: number
  /** When the IRC server was known to have taken it: it was handed on about then. At first when it was said. */
  takenAt: number
  /** How often it was said: a line that IRC heard twice is expected twice of whoever listens to IRC. */
  said: number
  /** When the XMPP server was seen to hand it to the gateway; 0 where that never happened, or nobody reads along. */
  passedAt: number
  heardAt: number
  heard: number
  /** When it was heard once more. */
  readonly heardAgainAt: number[]
  refusal: string | undefined
  excuse: Excuse | undefined
  /** It was not, or only just, confirmed when a component stream ended: to be told again is allowed. */
  mayRepeat: boolean
}

/** The judgement of one run. */
export interface Verdict {
  readonly said: number
  readonly delivered: number
  /** Neither delivered, nor refused, nor excused. */
  readonly lost: number
  readonly refused: number
  /** Deliveries beyond what was said. */
  readonly doubled: number
  /** Deliveries after a later line of the same stream. */
  readonly disordered: number
  readonly excused: Readonly<Record<Excuse, number>>
  readonly refusals: Readonly<Record<string, number>>
  /** Some of what is wrong, in words. */
  readonly examples: readonly string[]
}

interface Book {
  readonly stream: Stream
  readonly entries: Map<number, Entry>
  /** Numbers in the order in which they were first heard. */
  readonly order: number[]
}

/**
 * Who said what, who heard it, and what became of the rest. It knows nothing of servers or clocks: it is told, and judges
 * at the end.
 */
export class Ledger {
  readonly #books = new Map<string, Book>()

  /** The speaker said it; once more when it is told so once more. */
  said(stream: Stream, number: number, at: number): void {
    const entry = this.#entry(stream, number)
    entry.said++
    if (entry.said === 1) entry.saidAt = entry.takenAt = at
  }

  /** The speaker's server has answered what was asked behind it; the answer may belong to a line of an earlier ledger. */
  taken(stream: Stream, number: number, at: number): void {
    const entry = this.#book(stream).entries.get(number)
    if (entry !== undefined) entry.takenAt = at
  }

  /** Its whole stanza left the XMPP server for the gateway. */
  passed(stream: Stream, number: number, at: number): void {
    const entry = this.#book(stream).entries.get(number)
    if (entry !== undefined && entry.passedAt === 0) entry.passedAt = at
  }

  /** The listener heard it; perhaps before the ledger was told that it was said. Tells when that was, 0 if not yet. */
  heard(stream: Stream, number: number, at: number): number {
    const entry = this.#entry(stream, number)
    entry.heard++
    if (entry.heard > 1) entry.heardAgainAt.push(at)
    else {
      entry.heardAt = at
      this.#book(stream).order.push(number)
    }
    return entry.saidAt
  }

  /** The speaker was told that it is not delivered. */
  refused(stream: Stream, number: number, condition: string): void {
    this.#entry(stream, number).refusal ??= condition
  }

  /** It need not be delivered. A first excuse stands; what reached the gateway was taken, whatever the sender knows. */
  excuse(stream: Stream, number: number, excuse: Excuse): void {
    const entry = this.#entry(stream, number)
    if (excuse === 'never taken' && entry.passedAt > 0) return
    entry.excuse ??= excuse
  }

  /** It may be told again. */
  mayRepeat(stream: Stream, number: number): void {
    const entry = this.#book(stream).entries.get(number)
    if (entry !== undefined) entry.mayRepeat = true
  }

  /** Lines whose fate is open: to be waited for, and lost in the end. */
  open(isAsked: (stream: Stream, entry: Entry) => boolean = () => true): number {
    let count = 0
    for (const { stream, entries } of this.#books.values())
      for (const entry of entries.values()) if (isOpen(entry) && isAsked(stream, entry)) count++
    return count
  }

  /** All lines of streams that are asked for. */
  *lines(
    isAsked: (stream: Stream) => boolean = () => true,
  ): Iterable<{ stream: Stream; number: number; entry: Entry }> {
    for (const { stream, entries } of this.#books.values()) {
      if (!isAsked(stream)) continue
      for (const [number, entry] of entries) yield { stream, number, entry }
    }
  }

  /** Judges the streams that are asked for; all by default. */
  judge(isAsked: (stream: Stream) => boolean = () => true): Verdict {
    const sum = { said: 0, delivered: 0, lost: 0, refused: 0, doubled: 0, disordered: 0 }
    const excused: Record<Excuse, number> = {
      'not connected': 0,
      'in flight': 0,
      'confirmed, unread': 0,
      'never taken': 0,
      'not passed on': 0,
    }
    const refusals: Record<string, number> = {}
    const examples: string[] = []
    const example = (text: string, nth: number): void => {
      if (nth <= 10) examples.push(text)
    }
    for (const { stream, entries, order } of this.#books.values()) {
      if (!isAsked(stream)) continue
      for (const [number, entry] of entries) {
        sum.said++
        if (entry.heard > 0) {
          sum.delivered++
          const doubled = doublesOf(entry)
          sum.doubled += doubled
          if (doubled > 0) example(`${stream.key} ${number} was heard ${entry.heard} times`, sum.doubled)
        } else if (entry.refusal !== undefined) {
          sum.refused++
          refusals[entry.refusal] = (refusals[entry.refusal] ?? 0) + 1
        } else if (entry.excuse !== undefined) excused[entry.excuse]++
        else {
          sum.lost++
          example(`${stream.key} ${number} is lost`, sum.lost)
        }
      }
      let highest = Number.NEGATIVE_INFINITY
      for (const number of order) {
        if (number < highest) {
          sum.disordered++
          example(`${stream.key} ${number} was heard after ${highest}`, sum.disordered)
        } else highest = number
      }
    }
    return { ...sum, excused, refusals, examples }
  }

  /**
   * For each user the longest time, from `from` on, in which a direction delivered nothing though lines were said: until
   * `to` where nothing came any more. In ms, sorted.
   */
  outages(from: number, to: number): number[] {
    const times = new Map<string, { user: string; at: number[] }>()
    for (const { stream, entries } of this.#books.values()) {
      const key = `${stream.user} ${stream.direction}`
      let list = times.get(key)
      if (list === undefined) {
        list = { user: stream.user, at: [] }
        times.set(key, list)
      }
      for (const { heard, heardAt } of entries.values()) if (heard > 0) list.at.push(heardAt)
    }
    const worst = new Map<string, number>()
    for (const { user, at } of times.values()) {
      const inside = at.filter(time => time > from && time <= to).sort((a, b) => a - b)
      const points = [from, ...inside, to]
      const longest = points
        .slice(1)
        .reduce((most, point, index) => Math.max(most, point - (points[index] ?? point)), 0)
      worst.set(user, Math.max(worst.get(user) ?? 0, longest))
    }
    return [...worst.values()].sort((a, b) => a - b)
  }

  #book(stream: Stream): Book {
    let book = this.#books.get(stream.key)
    if (book === undefined) {
      book = { stream, entries: new Map(), order: [] }
      this.#books.set(stream.key, book)
    }
    return book
  }

  #entry(stream: Stream, number: number): Entry {
    const { entries } = this.#book(stream)
    let entry = entries.get(number)
    if (entry === undefined) {
      entry = {
        ...{ saidAt: 0, takenAt: 0, said: 0, passedAt: 0, heardAt: 0, heard: 0 },
        ...{ heardAgainAt: [], refusal: undefined, excuse: undefined, mayRepeat: false },
      }
      entries.set(number, entry)
    }
    return entry
  }
}

/** Neither heard, nor refused, nor excused. */
export function isOpen(entry: Entry): boolean {
  return entry.heard === 0 && entry.refusal === undefined && entry.excuse === undefined
}

/** How often it was heard beyond what was said. */
export function doublesOf({ heard, said }: Entry): number {
  return Math.max(0, heard - Math.max(1, said))
}
