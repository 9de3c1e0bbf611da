import type { Result } from './judge.ts'

/** What became of one row of the table. */
export interface Row {
  readonly fault: string
  readonly results: readonly Result[]
  /** Why it did not run at all; such a row is never passed. */
  readonly notRun?: string
  /** What went wrong outside of a run: a system that did not come up. */
  readonly failures: readonly string[]
}

/** Every limit that a row missed, and what broke; empty for one that passed, and for one that did not run. */
export function missesOf({ results, failures }: Row): string[] {
  return [...failures, ...results.flatMap(({ misses }) => misses)]
}

/** One line of figures for a row: the worst of its runs. */
export function lineOf(row: Row): string {
  const name = row.fault.padEnd(32)
  if (row.notRun !== undefined) return `–  ${name} not run: ${row.notRun}`
  const { results } = row
  const worst = (of: (result: Result) => number): number => Math.max(0, ...results.map(of))
  const column = (value: number | string, width: number): string => String(value).padStart(width)
  const both = (of: (verdict: Result['toIrc']) => number): string =>
    `${worst(({ toIrc }) => of(toIrc))}/${worst(({ toXmpp }) => of(toXmpp))}`
  const seconds = (ms: number): string => (Number.isFinite(ms) ? (ms / 1000).toFixed(1) : '∞')
  const mark = missesOf(row).length === 0 && results.length > 0 ? '✔' : '✖'
  return [
    `${mark}  ${name}`,
    column(results.length, 4),
    column(results.length === 0 ? 0 : Math.min(...results.map(({ linesPerSecond }) => linesPerSecond)), 8),
    column(
      both(({ lost }) => lost),
      10,
    ),
    column(
      both(({ refused }) => refused),
      10,
    ),
    column(
      both(({ doubled }) => doubled),
      9,
    ),
    column(
      both(({ disordered }) => disordered),
      9,
    ),
    column(
      worst(({ noise }) => noise),
      6,
    ),
    column(worst(gapOf), 7),
    column(seconds(worst(({ outageP50 }) => outageP50)), 8),
    column(seconds(worst(({ outageMax }) => outageMax)), 8),
  ].join('')
}

/** The same table for `docs/operations.md`. */
export function markdownOf(rows: readonly Row[]): string {
  const titles = ['', 'fault', 'runs', 'lost', 'refused', 'doubled', 'out of order', 'noise', 'gap', 'outage p50 / max']
  const cells = rows.map(row => {
    if (row.notRun !== undefined) return ['–', row.fault, `not run: ${row.notRun}`, '', '', '', '', '', '', '']
    const { results } = row
    const worst = (of: (result: Result) => number): number => Math.max(0, ...results.map(of))
    const both = (of: (verdict: Result['toIrc']) => number): string =>
      `${worst(({ toIrc }) => of(toIrc))} / ${worst(({ toXmpp }) => of(toXmpp))}`
    const seconds = (ms: number): string => (ms / 1000).toFixed(1)
    return [
      missesOf(row).length === 0 && results.length > 0 ? '✔' : '✖',
      row.fault,
      String(results.length),
      both(({ lost }) => lost),
      both(({ refused }) => refused),
      both(({ doubled }) => doubled),
      both(({ disordered }) => disordered),
      String(worst(({ noise }) => noise)),
      String(worst(gapOf)),
      `${seconds(worst(({ outageP50 }) => outageP50))} / ${seconds(worst(({ outageMax }) => outageMax))} s`,
    ]
  })
  return [titles, titles.map(() => '---'), ...cells].map(row => `| ${row.join(' | ')} |`).join('\n')
}

/** What stands over the columns of {@link lineOf}. */
export const heading = `   ${'fault'.padEnd(32)}runs lines/s      lost   refused  doubled disorder noise    gap outage50     max
   ${''.padEnd(32)}               to IRC/to XMPP, the worst of the runs                  lines  seconds seconds`

/** Lines to XMPP that a row allows to be missing. */
function gapOf({ toXmpp, toIrc }: Result): number {
  return [...Object.values(toXmpp.excused), ...Object.values(toIrc.excused)].reduce((sum, count) => sum + count, 0)
}

/** One line on one run, for whoever watches. */
export function runLine(result: Result, attempt: number): string {
  const { toIrc, toXmpp, notes, misses } = result
  const figures = [
    `lost ${toIrc.lost}/${toXmpp.lost}`,
    `refused ${toIrc.refused}/${toXmpp.refused}`,
    ...Object.entries({ ...toXmpp.refusals, ...toIrc.refusals }).map(
      ([condition]) => `${condition} ${(toIrc.refusals[condition] ?? 0) + (toXmpp.refusals[condition] ?? 0)}`,
    ),
    `doubled ${toIrc.doubled}/${toXmpp.doubled} (of the last 50 ms: ${result.handledBefore}/${result.toldBefore}, repeatable: ${result.repeatable}, stray: ${result.strayDoubles})`,
    `disorder ${toIrc.disordered}/${toXmpp.disordered}`,
    ...Object.entries({ ...toIrc.excused, ...toXmpp.excused })
      .map(([excuse]) => [excuse, countOf(result, excuse)] as const)
      .filter(([, count]) => count > 0)
      .map(([excuse, count]) => `${excuse} ${count}`),
    `left ${result.departures}/${result.removals}`,
    `noise ${result.noise}`,
    `outage p50 ${result.outageP50} max ${result.outageMax} ms`,
    `back after ${result.recoveryMs} ms`,
    `${result.linesPerSecond} lines/s`,
    ...Object.entries(notes).map(([name, value]) => `${name} ${value}`),
  ]
  return [`  run ${attempt}: ${figures.join(', ')}`, ...misses.map(miss => `    ✖ ${miss}`)].join('\n')
}

function countOf({ toIrc, toXmpp }: Result, excuse: string): number {
  return toIrc.excused[excuse as keyof typeof toIrc.excused] + toXmpp.excused[excuse as keyof typeof toXmpp.excused]
}
