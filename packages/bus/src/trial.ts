import { type CrashRecord, type CursorRecord, positionsPerMessage } from './cursor.ts'
import { TrialRoom, type Tried } from './trial-room.ts'

/** So many owners in a row died without progress, and the next one is cautious. */
const deathsBeforeCaution = 2
/** So many owners died while this item alone was tried, after two that died with it among others, and it is put aside. */
export const strikesToBury = 1

/**
 * What the next owner of a lane must know of an owner's death.
 *
 * @param old - the record as the dead owner left it
 * @param until - the last sequence of the lane's stream now
 */
export function afterDeath(old: CursorRecord, until: number): CrashRecord | undefined {
  if (old.low > until) return undefined
  const before = old.crashes
  // What was finished meanwhile is behind low.
  const trying = (before?.trying ?? []).filter(position => position >= old.low * positionsPerMessage)
  const hasMoved = before === undefined || (old.low > before.low && trying.length === 0)
  const [only] = trying
  const strikes = { ...before?.strikes }
  if (only !== undefined && trying.length === 1 && !before?.isInCompany) strikes[only] = (strikes[only] ?? 0) + 1
  const suspects = [...new Set([...trying, ...(hasMoved ? [] : (before?.suspects ?? []))])].sort((a, b) => a - b)
  return {
    deaths: hasMoved ? 1 : before.deaths + 1,
    low: old.low,
    // What came after the first death was in nobody's hands at it.
    until: hasMoved ? until : before.until,
    trying: [],
    suspects,
    strikes: hasMoved ? {} : strikes,
  }
}

/** What a trial does with the lane's items. */
export interface TrialTarget<D> {
  positionOf(delivery: D): number
  /** Gives it to the handler. */
  hand(delivery: D): void
  isFinished(delivery: D): boolean
  bury(delivery: D): void
  /** Fulfils when the cursor is stored as it is now; rejects nothing. */
  stored(): Promise<void>
  isOpen(): boolean
  /** All that was suspicious is through: the record says nothing of deaths any more. */
  over(): void
  /** What comes from now on is not for the trial. */
  ended(): void
}

export interface TrialTimes {
  /** How long the next item waits for one that is not finished: an item whose network is being connected takes seconds. */
  patienceMs: number
  /** The same for items that were suspects before. */
  suspectPatienceMs: number
  /** All patience for items that are no suspects, of all lanes of the process together. */
  totalPatienceMs: number
  /** How long an item stays noted when it is finished: what ends a process may do so a little later. */
  aftermathMs: number
}

export const trialTimes: TrialTimes = {
  patienceMs: 250,
  suspectPatienceMs: 5_000,
  totalPatienceMs: 4_000,
  aftermathMs: 5,
}
const pollMs = 5

/**
 * Cautious work through what was unfinished when owners died again and again: one item after the other, each noted in the cursor
 * record before it is handed over. An item on which an owner dies while nothing else was being tried is put aside: it was in
 * flight at three deaths. The lanes of one process take turns, and go back to the normal path together: on it there is no trial.
 */
export class Trial<D> implements Tried {
  readonly #record: CrashRecord
  readonly #target: TrialTarget<D>
  readonly #times: TrialTimes
  readonly #room: TrialRoom
  #queue: D[] = []
  #trying: D[] = []
  #isRunning = false

  constructor(record: CrashRecord, target: TrialTarget<D>, room = new TrialRoom(), times = trialTimes) {
    this.#record = record
    this.#target = target
    this.#room = room
    this.#times = times
  }

  static isDue(record: CrashRecord | undefined): record is CrashRecord {
    return record !== undefined && record.deaths >= deathsBeforeCaution
  }

  offer(delivery: D): void {
    this.#queue.push(delivery)
    if (this.#isRunning) return
    this.#isRunning = true
    void this.#run()
  }

  async #run(): Promise<void> {
    this.#room.begins(this)
    try {
      // Nothing that is offered after the last look at the queue may find somebody running.
      while (this.#queue.length > 0 && this.#target.isOpen()) await this.#work()
    } finally {
      this.#isRunning = false
      this.#room.pauses(this)
      if (!this.#target.isOpen()) this.#room.leaves(this)
    }
  }

  async #work(): Promise<void> {
    const { positionOf, bury, isOpen } = this.#target
    for (let delivery = this.#queue.shift(); delivery !== undefined && isOpen(); delivery = this.#queue.shift()) {
      const position = positionOf(delivery)
      if (position >= (this.#record.until + 1) * positionsPerMessage) return this.#end(delivery)
      if ((this.#record.strikes[position] ?? 0) >= strikesToBury) {
        bury(delivery)
        continue
      }
      const tried = delivery
      await this.#room.inTurn(() => this.#try(tried, this.#record.suspects.includes(position)))
    }
  }

  async yields(): Promise<boolean> {
    if (!this.#target.isOpen()) {
      this.#room.leaves(this)
      return false
    }
    const hasUnfinished = this.#hasUnfinished()
    const isOnRecord = this.#record.trying.length === 0 || (hasUnfinished && this.#record.isInCompany === true)
    if (!isOnRecord) {
      this.#note(hasUnfinished)
      await this.#target.stored()
    }
    return hasUnfinished
  }

  async #try(delivery: D, isSuspect: boolean): Promise<void> {
    const { hand, stored, isOpen } = this.#target
    await this.#settled(isSuspect)
    if (!isOpen()) return
    this.#room.enters(this)
    const isAlone = await this.#room.isAlone(this)
    this.#trying.push(delivery)
    this.#note(!isAlone)
    await stored()
    if (!isOpen()) return
    hand(delivery)
    await this.#settled(isSuspect)
    await this.#aftermath()
  }

  /** Everything up to the deaths is through: what follows is ordinary, once the other lanes have come as far. */
  async #end(first: D): Promise<void> {
    const { hand, stored, isOpen, over, ended } = this.#target
    await this.#settled(true)
    this.#trying = []
    this.#note(false)
    this.#room.leaves(this)
    over()
    // A death over what follows is the first of its own series, so this must be known before.
    await stored()
    // What is handed over all at once would be repeated when another lane's item ends the process.
    this.#room.pauses(this)
    await this.#room.quiet()
    if (!isOpen()) return
    ended()
    for (const each of [first, ...this.#queue.splice(0)]) hand(each)
  }

  /** The record goes on naming what was finished last, until the next one is tried. */
  async #aftermath(): Promise<void> {
    const { aftermathMs, totalPatienceMs } = this.#times
    if (this.#room.waitedMs >= totalPatienceMs) return
    this.#room.waitedMs += aftermathMs
    await new Promise(resolve => setTimeout(resolve, aftermathMs))
  }

  /** Until all that is tried is finished, or patience ends; what is not finished then stays noted. */
  async #settled(isSuspect: boolean): Promise<void> {
    const { patienceMs, suspectPatienceMs, totalPatienceMs } = this.#times
    const leftMs = Math.min(patienceMs, totalPatienceMs - this.#room.waitedMs)
    const startedMs = performance.now()
    const limitMs = isSuspect ? suspectPatienceMs : leftMs
    while (this.#target.isOpen() && this.#hasUnfinished() && performance.now() - startedMs < limitMs)
      await new Promise(resolve => setTimeout(resolve, pollMs))
    if (!isSuspect) this.#room.waitedMs += performance.now() - startedMs
  }

  #hasUnfinished(): boolean {
    this.#trying = this.#trying.filter(each => !this.#target.isFinished(each))
    return this.#trying.length > 0
  }

  #note(isInCompany: boolean): void {
    this.#record.trying = this.#trying.map(each => this.#target.positionOf(each))
    this.#record.isInCompany = isInCompany
  }
}
