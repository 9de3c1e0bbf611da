/**
 * How long to wait before the next attempt: doubles from `firstMs` to `lastMs` with every failure in a row, less up to a
 * half by chance, so that sessions which lost the same server do not come back together.
 */
export function backOffMs(
  failures: number,
  firstMs: number,
  lastMs: number,
  random: () => number = Math.random,
): number {
  const full = Math.min(lastMs, firstMs * 2 ** Math.min(failures - 1, 30))
  return full * (0.5 + random() / 2)
}
