import { setTimeout as delay } from 'node:timers/promises'

/** Waits for a condition; past the deadline (10 s) it throws with what was there instead. */
export async function until(
  condition: () => boolean | Promise<boolean>,
  options: { deadlineMs?: number; describe?: () => string } = {},
): Promise<void> {
  const { deadlineMs = 10_000, describe } = options
  const end = performance.now() + deadlineMs
  while (!(await condition())) {
    if (performance.now() > end) throw new Error(`not within ${deadlineMs} ms: ${describe?.() ?? String(condition)}`)
    await delay(5)
  }
}
