import { setTimeout as delay } from 'node:timers/promises'
import type { Child } from './child.ts'

/** A process that lived this long had started well: its next restart is immediate again. */
const steadyMs = 30_000
const longestPauseMs = 30_000

/** How a process is kept running. */
export interface Supervision {
  /** Ends the supervision; whoever aborts it ends the process. */
  readonly signal: AbortSignal
  /** Told when the process ended unasked, and what is done about it. */
  readonly onEvent: (sentence: string) => void
  /** Asked when it has ended: false leaves it down until this answers true. Always true by default. */
  readonly isWanted?: () => boolean
  /** Exit codes after which starting it again is useless; `onUseless` is then called and the supervision ends. */
  readonly useless?: readonly number[]
  readonly onUseless?: () => void
}

/**
 * Starts a process again whenever it ends: at once the first time, then after ever longer pauses up to 30 s. Fulfils when
 * the signal aborts.
 */
export async function keepRunning(child: Child, supervision: Supervision): Promise<void> {
  const { signal, onEvent, isWanted = () => true, useless = [], onUseless } = supervision
  const aborted = new Promise<void>(resolve => {
    if (signal.aborted) resolve()
    signal.addEventListener('abort', () => resolve(), { once: true })
  })
  for (let failures = 0; ; failures++) {
    const begun = performance.now()
    await Promise.race([child.ended, aborted])
    if (signal.aborted) return
    if (child.exitCode !== undefined && useless.includes(child.exitCode)) return onUseless?.()
    if (performance.now() - begun > steadyMs) failures = 0
    const pauseMs = failures === 0 ? 0 : Math.min(longestPauseMs, 250 * 2 ** failures)
    const plan = isWanted() ? `; starting it again${pauseMs > 0 ? ` in ${pauseMs / 1000} s` : ''}` : ''
    onEvent(`${child.name} ended (${child.exit})${plan}`)
    while (!isWanted() && !child.isRunning && !signal.aborted) await Promise.race([delay(50), aborted])
    await Promise.race([delay(pauseMs, undefined, { ref: false }), aborted])
    if (signal.aborted) return
    if (!child.isRunning) child.launch()
  }
}
