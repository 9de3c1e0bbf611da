/** Lets something costly happen at most once per interval in a process, whoever wants it. */
export class Pacer {
  readonly #everyMs: number
  #nextAt = 0

  constructor(everyMs: number) {
    this.#everyMs = everyMs
  }

  /** True when it may happen now; whoever is told so must do it. */
  take(now: number): boolean {
    if (now < this.#nextAt) return false
    this.#nextAt = now + this.#everyMs
    return true
  }
}
