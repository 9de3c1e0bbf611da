import type { NetworkError } from '@spectrum/network'

interface Waiter {
  isReady(): boolean
  readonly settled: PromiseWithResolvers<void>
  readonly timer: NodeJS.Timeout
}

/** Commands that wait until the network is connected again, or a room complete. */
export class Readiness {
  readonly #waiters = new Set<Waiter>()

  /** Fulfils when `isReady()` is found true by {@link check}; rejects with `late()` after the time. */
  wait(isReady: () => boolean, timeoutMs: number, late: () => NetworkError): Promise<void> {
    const settled = Promise.withResolvers<void>()
    const timer = setTimeout(() => {
      this.#waiters.delete(waiter)
      settled.reject(late())
    }, timeoutMs).unref()
    const waiter = { isReady, settled, timer }
    this.#waiters.add(waiter)
    return settled.promise
  }

  /** Something changed. */
  check(): void {
    for (const waiter of this.#waiters) {
      if (!waiter.isReady()) continue
      this.#end(waiter)
      waiter.settled.resolve()
    }
  }

  /** Nobody will be ready any more. */
  fail(error: NetworkError): void {
    for (const waiter of this.#waiters) {
      this.#end(waiter)
      waiter.settled.reject(error)
    }
  }

  #end(waiter: Waiter): void {
    clearTimeout(waiter.timer)
    this.#waiters.delete(waiter)
  }
}
