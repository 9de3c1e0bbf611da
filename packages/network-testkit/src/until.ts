import { setTimeout } from 'node:timers/promises'

/** How long a test waits for something by default: far longer than anything that works takes. */
export const patienceMs = 15_000

let currentPatienceMs = patienceMs

/** Makes all waiting in this process end sooner or later than by default; for networks that are known to be broken. */
export function setPatience(ms: number): void {
  currentPatienceMs = ms
}

/** Fulfils with the first answer that is not undefined or false; rejects after the deadline, saying what was awaited. */
export async function until<Answer>(
  ask: () => Answer | undefined | false,
  awaited: () => string,
  deadlineMs = currentPatienceMs,
): Promise<Answer> {
  const deadline = performance.now() + deadlineMs
  for (;;) {
    const answer = ask()
    if (answer !== undefined && answer !== false) return answer
    if (performance.now() > deadline) throw new Error(`waited ${deadlineMs} ms for ${awaited()}`)
    await setTimeout(3)
  }
}

/** Fulfils or rejects as `promise` does, but rejects after the deadline, saying what was awaited. */
export async function within<Value>(
  promise: Promise<Value>,
  awaited: string,
  deadlineMs = currentPatienceMs,
): Promise<Value> {
  const timer = new AbortController()
  const late = setTimeout(deadlineMs, undefined, { signal: timer.signal }).then(
    () => Promise.reject(new Error(`waited ${deadlineMs} ms for ${awaited}`)),
    () => new Promise<never>(() => undefined),
  )
  try {
    return await Promise.race([promise, late])
  } finally {
    timer.abort()
  }
}
