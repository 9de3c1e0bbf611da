/** Tells when something has lasted long enough to be acted on; each time it was acted on, the wait begins anew. */
export class Patience {
  readonly #lastingMs: number
  readonly #now: () => number
  #since: number | undefined

  constructor(lastingMs: number, now: () => number = () => performance.now()) {
    this.#lastingMs = lastingMs
    this.#now = now
  }

  /** To be asked again and again; true once `isSo` has been true all the time. */
  isOver(isSo: boolean): boolean {
    if (!isSo) {
      this.#since = undefined
      return false
    }
    this.#since ??= this.#now()
    if (this.#now() - this.#since < this.#lastingMs) return false
    this.#since = undefined
    return true
  }
}
