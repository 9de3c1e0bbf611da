/** Waits for the process to be asked to stop. Disposing gives the signals back their usual effect. */
export interface StopSignal extends Disposable {
  /** The first signal. Further ones are ignored while draining goes on. */
  readonly wanted: Promise<'SIGTERM' | 'SIGINT'>
}

/** Listens for SIGTERM and SIGINT, and keeps the event loop alive until disposed. */
export function stopSignal(): StopSignal {
  const { promise, resolve } = Promise.withResolvers<'SIGTERM' | 'SIGINT'>()
  const onTerm = () => resolve('SIGTERM')
  const onInterrupt = () => resolve('SIGINT')
  process.on('SIGTERM', onTerm)
  process.on('SIGINT', onInterrupt)
  const awake = setInterval(() => {}, 2 ** 30)
  return {
    wanted: promise,
    [Symbol.dispose]() {
      clearInterval(awake)
      process.off('SIGTERM', onTerm)
      process.off('SIGINT', onInterrupt)
    },
  }
}
