import type { Logger } from '@spectrum/network'

/** Those who want to hear of something. One that throws is logged and keeps nobody else from hearing. */
export class Listeners<Args extends unknown[]> {
  readonly #log: Logger
  readonly #listeners = new Set<(...args: Args) => void>()

  constructor(log: Logger) {
    this.#log = log
  }

  add(listener: (...args: Args) => void): Disposable {
    // Wrapped, so that the same function can listen twice.
    const entry = (...args: Args) => listener(...args)
    this.#listeners.add(entry)
    return { [Symbol.dispose]: () => void this.#listeners.delete(entry) }
  }

  emit(...args: Args): void {
    for (const listener of [...this.#listeners]) guarded(this.#log, () => listener(...args))
  }
}

/** Calls what belongs to somebody else: its error must not end our own work. */
export function guarded(log: Logger, call: () => void): void {
  try {
    call()
  } catch (error) {
    log.error({ err: error }, 'a listener of the bus failed')
  }
}
