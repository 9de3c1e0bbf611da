/** Keys of what was handed to the network lately, so that a redelivered item is not sent twice. Bounded; the oldest go first. */
export class RecentKeys {
  readonly #keys = new Set<string>()
  readonly #limit: number

  constructor(limit = 512) {
    this.#limit = limit
  }

  /** False when the key is known already. */
  add(key: string): boolean {
    const before = this.#keys.size
    this.#keys.add(key)
    if (this.#keys.size === before) return false
    if (before < this.#limit) return true
    for (const oldest of this.#keys) {
      this.#keys.delete(oldest)
      break
    }
    return true
  }
}
