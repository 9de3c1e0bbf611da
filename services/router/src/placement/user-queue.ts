/** Runs work one at a time for each user, in the order of the calls; users do not wait for each other. */
export class UserQueue {
  readonly #tails = new Map<string, Promise<void>>()

  run<Result>(user: string, work: () => Promise<Result>): Promise<Result> {
    const before = this.#tails.get(user)
    const result = before ? before.then(work) : work()
    // The next one goes on whether this one failed or not; its caller is told.
    const tail: Promise<void> = result.then(
      () => this.#forget(user, tail),
      () => this.#forget(user, tail),
    )
    this.#tails.set(user, tail)
    return result
  }

  /** Whether work for the user is under way. */
  isBusy(user: string): boolean {
    return this.#tails.has(user)
  }

  /** Users with work under way. */
  get size(): number {
    return this.#tails.size
  }

  /** Fulfils when all that was begun has ended. */
  async idle(): Promise<void> {
    while (this.#tails.size > 0) await Promise.all(this.#tails.values())
  }

  #forget(user: string, tail: Promise<void>): void {
    if (this.#tails.get(user) === tail) this.#tails.delete(user)
  }
}
