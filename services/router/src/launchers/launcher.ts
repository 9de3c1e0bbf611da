/** Sees to it that there are as many workers as wanted. One for the life of a router; only the leading one asks. */
export interface Launcher extends AsyncDisposable {
  /**
   * Says how many workers there should be, again and again (each second or so), as long as this router leads. More are
   * started at once, fewer only with patience. Must not throw: what fails is logged and tried again with the next call.
   */
  wanted(workers: number): void
}

export interface WorkerNeeds {
  readonly backendsPerWorker: number
  readonly minWorkers: number
  readonly maxWorkers: number
}

/** How many workers so many backends need, within the bounds. */
export function workersFor(backends: number, { backendsPerWorker, minWorkers, maxWorkers }: WorkerNeeds): number {
  return Math.max(minWorkers, Math.min(maxWorkers, Math.ceil(backends / backendsPerWorker)))
}
