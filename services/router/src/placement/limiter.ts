/**
 * Lets at most so many pieces of work run at a time; the others wait in the order in which they came. Many at once would
 * not be faster, but each would take so long that its requests time out.
 */
export class Limiter {
  readonly #limit: number
  #running = 0
  readonly #waiting: (() => void)[] = []
  #first = 0

  constructor(limit: number) {
    this.#limit = limit
  }

  async run<Result>(work: () => Promise<Result>): Promise<Result> {
    if (this.#running < this.#limit) this.#running++
    else await new Promise<void>(resolve => this.#waiting.push(resolve))
    try {
      return await work()
    } finally {
      this.#next()
    }
  }

  get waiting(): number {
    return this.#waiting.length - this.#first
  }

  /** Whoever waits takes over the place of the one that ended. */
  #next(): void {
    const next = this.#waiting[this.#first]
    if (!next) {
      this.#running--
      return
    }
    this.#first++
    if (this.#first > 1024 && this.#first * 2 > this.#waiting.length) {
      this.#waiting.splice(0, this.#first)
      this.#first = 0
    }
    next()
  }
}
