/** Those who want to hear of something. A listener that throws ends the emitter's work: it must not. */
export class Listeners<Args extends unknown[]> {
  readonly #listeners = new Set<(...args: Args) => void>()

  add(listener: (...args: Args) => void): Disposable {
    // Wrapped, so that the same function can listen twice.
    const entry = (...args: Args) => listener(...args)
    this.#listeners.add(entry)
    return { [Symbol.dispose]: () => void this.#listeners.delete(entry) }
  }

  emit(...args: Args): void {
    for (const listener of [...this.#listeners]) listener(...args)
  }

  get size(): number {
    return this.#listeners.size
  }
}
