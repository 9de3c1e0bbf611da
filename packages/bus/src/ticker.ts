/** Something that has work to do now and then. */
export interface Ticking {
  /** True: call again at the next tick. */
  tick(now: number): boolean
}

/** One timer for all lanes of a process; it stands still while nothing is under way, so that idle lanes cost nothing. */
export class Ticker {
  readonly #active = new Set<Ticking>()
  readonly #everyMs: number
  #timer: NodeJS.Timeout | undefined

  constructor(everyMs: number) {
    this.#everyMs = everyMs
  }

  add(ticking: Ticking): void {
    this.#active.add(ticking)
    this.#timer ??= setInterval(() => this.#tick(), this.#everyMs)
  }

  close(): void {
    clearInterval(this.#timer)
    this.#active.clear()
  }

  #tick(): void {
    const now = performance.now()
    for (const ticking of this.#active) if (!ticking.tick(now)) this.#active.delete(ticking)
    if (this.#active.size > 0) return
    clearInterval(this.#timer)
    this.#timer = undefined
  }
}
