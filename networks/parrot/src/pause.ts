import { once } from 'node:events'
import { setTimeout } from 'node:timers/promises'

/** Fulfils after that time with true, or at once with false when `signal` aborts. */
export async function paused(ms: number, signal: AbortSignal): Promise<boolean> {
  if (ms === 0) return !signal.aborted
  try {
    await setTimeout(ms, undefined, { signal })
    return true
  } catch (reason) {
    if (signal.aborted) return false
    throw reason
  }
}

/** Fulfils when `signal` aborts. */
export async function aborted(signal: AbortSignal): Promise<void> {
  if (!signal.aborted) await once(signal, 'abort')
}
