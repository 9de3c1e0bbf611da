const EVERY_MS = 5_000

/** One timer for everything in a process that looks at the clock now and then; runs only while somebody wants it. */
export class Ticker {
  readonly #callbacks = new Set<() => void>()
  readonly #always: (() => void)[] = []
  #timer: NodeJS.Timeout | undefined

  add(callback: () => void): void {
    this.#callbacks.add(callback)
    this.#timer ??= setInterval(() => this.tick(), EVERY_MS)
  }

  delete(callback: () => void): void {
    this.#callbacks.delete(callback)
    if (this.#callbacks.size > 0) return
    clearInterval(this.#timer)
    this.#timer = undefined
  }

  /** Also called then; does not keep the timer running. */
  always(callback: () => void): void {
    this.#always.push(callback)
  }

  /** What the timer does; tests that turn the clock call it. */
  tick(): void {
    for (const callback of [...this.#callbacks, ...this.#always]) callback()
  }
}
