/**
 * Keys of what was handed to the network lately, so that a redelivered item is not sent twice: at least the last `limit`, at
 * most twice as many. Two generations of which the older one is dropped whole: nothing is ever deleted one by one.
 */
export class RecentKeys {
  readonly #limit: number
  #young = new Set<string>()
  #old: ReadonlySet<string> = new Set()

  constructor(limit = 256) {
    this.#limit = limit
  }

  /** False when the key is known already. */
  add(key: string): boolean {
    if (this.#young.has(key) || this.#old.has(key)) return false
    this.#young.add(key)
    if (this.#young.size >= this.#limit) {
      this.#old = this.#young
      this.#young = new Set()
    }
    return true
  }
}
