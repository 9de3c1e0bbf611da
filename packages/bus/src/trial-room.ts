/** A lane that has tried items, as the others of its process see it. */
export interface Tried {
  /**
   * Another lane is about to try one. Fulfils when it is on record that a death is not by what was tried here alone, with
   * whether some of that is not finished and may still end the process.
   */
  yields(): Promise<boolean>
}

/**
 * Where the trials of one process's lanes take turns: a process that dies while each of several lanes tries an item would cast
 * suspicion on all of these.
 */
export class TrialRoom {
  #turn: Promise<void> = Promise.resolve()
  readonly #working = new Set<object>()
  readonly #tried = new Set<Tried>()
  #waiters: (() => void)[] = []
  /** What all of them have waited for items that were not finished at once, since the room was empty. */
  waitedMs = 0

  /** One piece of work of all lanes after the other. */
  async inTurn(work: () => Promise<void>): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>()
    const before = this.#turn
    this.#turn = promise
    await before
    try {
      await work()
    } finally {
      resolve()
    }
  }

  begins(trial: object): void {
    if (this.#working.size === 0) this.waitedMs = 0
    this.#working.add(trial)
  }

  /** It has nothing to try at the moment. */
  pauses(trial: object): void {
    if (!this.#working.delete(trial) || this.#working.size > 0) return
    for (const wake of this.#waiters.splice(0)) wake()
  }

  /** The lane is about to try its first item. */
  enters(tried: Tried): void {
    this.#tried.add(tried)
  }

  /** All of it is through, or the lane is another process's. */
  leaves(tried: Tried): void {
    this.#tried.delete(tried)
  }

  /** Whether no other lane has tried anything that is not finished. */
  async isAlone(tried: Tried): Promise<boolean> {
    const others = [...this.#tried].filter(other => other !== tried)
    const unfinished = await Promise.all(others.map(other => other.yields()))
    return !unfinished.includes(true)
  }

  /** Fulfils when nobody tries anything. */
  async quiet(): Promise<void> {
    if (this.#working.size > 0) await new Promise<void>(resolve => this.#waiters.push(resolve))
  }
}
