import type { Launcher } from './launcher.ts'

const periodMs = 1_000

/** Tells the launcher each second how many workers are wanted, as long as this router leads. */
export class Staffing implements AsyncDisposable {
  readonly #launcher: Launcher
  readonly #timer: NodeJS.Timeout

  /** @param wanted undefined while another router leads */
  constructor(launcher: Launcher, wanted: () => number | undefined) {
    this.#launcher = launcher
    this.#timer = setInterval(() => {
      const workers = wanted()
      if (workers !== undefined) launcher.wanted(workers)
    }, periodMs)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    clearInterval(this.#timer)
    await this.#launcher[Symbol.asyncDispose]()
  }
}
