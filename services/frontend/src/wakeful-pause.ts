/** Pauses that news can end early. */
export class WakefulPause {
  readonly #sleepers = new Set<() => void>()

  /** Fulfils after so many milliseconds, or with the next {@link wake}. */
  async for(ms: number): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>()
    const timer = setTimeout(resolve, ms)
    this.#sleepers.add(resolve)
    await promise
    this.#sleepers.delete(resolve)
    clearTimeout(timer)
  }

  wake(): void {
    for (const wake of this.#sleepers) wake()
  }
}
