/** Tenths of a second since 2026, which fit a uint32 until 2039: grow faster than one user can log in and out. */
const epochMs = Date.UTC(2026, 0, 1)
const tickMs = 100
/** How many users' last generations are remembered before old ones are dropped. */
const rememberedUsers = 1_000

/**
 * Numbers for placements, growing for each user. A placement that exists gives the number to grow from; a user without
 * one starts from the clock. Whoever logs in twice within a tick is remembered for that long.
 */
export class Generations {
  readonly #now: () => number
  readonly #recent = new Map<string, number>()

  constructor(now: () => number = Date.now) {
    this.#now = now
  }

  next(user: string): number {
    const seed = this.#tick()
    const generation = Math.max(seed, (this.#recent.get(user) ?? 0) + 1)
    this.#remember(user, generation)
    return generation
  }

  /** A generation that was in use, so that the next one is above it. */
  seen(user: string, generation: number): void {
    if (generation >= this.#tick()) this.#remember(user, generation)
  }

  #remember(user: string, generation: number): void {
    this.#recent.delete(user)
    this.#recent.set(user, generation)
    if (this.#recent.size <= rememberedUsers) return
    const now = this.#tick()
    for (const [old, last] of this.#recent) if (last < now) this.#recent.delete(old)
  }

  #tick(): number {
    return Math.floor((this.#now() - epochMs) / tickMs)
  }
}
