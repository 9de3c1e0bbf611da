/** Prints one line of a bench. */
export function say(text: string): void {
  process.stdout.write(`${text}\n`)
}

/** Prints a promise, and whether it was kept; a broken one fails the run. */
export function promise(text: string, isKept: boolean): void {
  say(`  ${isKept ? 'kept  ' : 'BROKEN'} ${text}`)
  if (!isKept) process.exitCode = 1
}

export function percentile(values: readonly number[], share: number): number {
  const sorted = [...values].sort((a, b) => a - b)
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Number.NaN
}

export const median = (values: readonly number[]): number => percentile(values, 0.5)

export const round = (value: number, digits = 2): number => Number(value.toFixed(digits))
