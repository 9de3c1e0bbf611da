import type { Target } from './targets.ts'

/** The configured servers and which of them is used now, by all sessions of a process. */
export class TargetRing {
  readonly #targets: readonly Target[]
  #index = 0

  constructor(targets: readonly Target[]) {
    this.#targets = targets
  }

  get length(): number {
    return this.#targets.length
  }

  get current(): Target {
    const target = this.#targets[this.#index % this.#targets.length]
    if (target === undefined) throw new Error('no IRC server is configured')
    return target
  }

  /** That one failed. Nothing changes when another session has found it out before. */
  advance(failed: Target): void {
    if (failed !== this.current) return
    this.#index = (this.#index + 1) % Math.max(1, this.#targets.length)
  }
}
