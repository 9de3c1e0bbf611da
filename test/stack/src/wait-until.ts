import { setTimeout as delay } from 'node:timers/promises'

/** A condition did not come true in time; the message says what was there instead. */
export class DeadlineError extends Error {
  override name = 'DeadlineError'
}

/**
 * Asks `condition` again and again until it answers something other than `undefined` or `false`, and returns that.
 *
 * @param options.deadlineMs - how long to go on, 10 s by default
 * @param options.everyMs - pause between two questions, 25 ms by default
 * @param options.describe - what was there instead; called once, when the deadline has passed
 * @throws DeadlineError with the description; whatever the condition throws ends the waiting at once
 */
export async function waitUntil<T>(
  condition: () => T | Promise<T>,
  options: { deadlineMs?: number; everyMs?: number; describe?: () => string } = {},
): Promise<Exclude<T, undefined | false>> {
  const { deadlineMs = 10_000, everyMs = 25, describe } = options
  const end = performance.now() + deadlineMs
  for (;;) {
    const answer = await condition()
    if (answer !== undefined && answer !== false) return answer as Exclude<T, undefined | false>
    if (performance.now() >= end) throw new DeadlineError(`not within ${deadlineMs} ms: ${describe?.() ?? condition}`)
    await delay(everyMs)
  }
}
