import { setTimeout as delay } from 'node:timers/promises'
import type { Log } from './log.ts'

/** Something to close, with the name it has in the log when it hangs. */
export interface ClosingStep {
  readonly name: string
  close(): Promise<void>
}

/**
 * Closes one after the other within `limitMs` in all. A step that fails is logged and the next one has its turn; when
 * the time is over, the log names what hangs. Fulfils with true when all closed well.
 */
export async function closeInOrder(steps: readonly ClosingStep[], limitMs: number, log: Log): Promise<boolean> {
  let isClean = true
  let current = ''
  const closing = async () => {
    for (const { name, close } of steps) {
      current = name
      try {
        await close()
      } catch (error) {
        isClean = false
        log.error({ err: error, step: name }, 'closing failed')
      }
    }
    return 'closed' as const
  }
  const timer = new AbortController()
  const outcome = await Promise.race([closing(), delay(limitMs, 'late' as const, { signal: timer.signal })])
  if (outcome === 'late') {
    log.error({ step: current, limitMs, open: openResources() }, 'draining took too long and is given up')
    return false
  }
  timer.abort()
  return isClean
}

/**
 * Ends the process with SIGKILL if its event loop has not emptied by itself in `afterMs`, naming what kept it. Does not
 * keep the loop alive.
 */
export function endByForce(afterMs: number, log: Log): void {
  const timer = setTimeout(() => {
    log.error({ open: openResources() }, 'the process does not end by itself and is killed')
    log.flush()
    process.kill(process.pid, 'SIGKILL')
  }, afterMs)
  timer.unref()
}

/** What keeps the event loop alive, by kind: `{ TCPSocketWrap: 2, Timeout: 1 }`. */
function openResources(): Record<string, number> {
  const open: Record<string, number> = {}
  for (const kind of process.getActiveResourcesInfo()) open[kind] = (open[kind] ?? 0) + 1
  return open
}
