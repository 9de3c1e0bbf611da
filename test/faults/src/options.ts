import { join } from 'node:path'
import { parseArgs } from 'node:util'
import type { Fault } from './run.ts'

/** What is to be run, and how it is told. */
export interface Options {
  readonly faults: readonly Fault[]
  readonly times: number
  readonly json: string
  readonly verbose: boolean
  readonly markdown: boolean
  /** Says something instead of running anything: the usage, or the names of the faults. */
  readonly says?: string
}

/** The command line asks for something that is not there; the message says what, and what there is. */
export class UsageError extends Error {
  override name = 'UsageError'
}

const usage = `npm run faults -- [options]: lets one thing after another break under load, and prints what was lost, doubled and delayed.

  --short         the rows that are part of npm test, once each
  --only NAME     the row of exactly this name, else every row whose name holds this; may be given several times
  --times N       how often each row is run (5, with --short 1)
  --json FILE     where the figures go (test/faults/results/faults.json)
  --markdown      prints the table as docs/operations.md has it, too
  --verbose       tells what ends and starts, and the last lines of every log after a miss
  --list          names the rows
  --help          this`

/** Reads the command line. Throws a {@link UsageError} where it makes no sense. */
export function readOptions(args: readonly string[], all: readonly Fault[]): Options {
  const values = parse(args)
  const defaults = { json: values.json, verbose: values.verbose, markdown: values.markdown }
  if (values.help) return { ...defaults, faults: [], times: 0, says: usage }
  const names = all.map(({ name, isShort }) => `${name}${isShort ? ' (short)' : ''}`)
  if (values.list) return { ...defaults, faults: [], times: 0, says: names.join('\n') }
  const chosen = new Set(values.only.flatMap(name => meant(all, name)))
  const faults = all.filter(
    fault => (values.only.length === 0 || chosen.has(fault)) && (!values.short || fault.isShort === true),
  )
  if (faults.length === 0)
    throw new UsageError(`None of these is part of the short form: ${[...chosen].map(({ name }) => name).join(', ')}.`)
  const times = values.times === undefined ? (values.short ? 1 : 5) : Number(values.times)
  if (!Number.isInteger(times) || times < 1)
    throw new UsageError(`--times must be a whole number from 1, not "${values.times}".`)
  return { ...defaults, faults, times }
}

/** The fault of exactly that name, else all that have it in theirs, whatever the case. */
export function meant<F extends Pick<Fault, 'name'>>(all: readonly F[], name: string): F[] {
  const wanted = name.toLowerCase()
  const exact = all.filter(fault => fault.name.toLowerCase() === wanted)
  const found = exact.length > 0 ? exact : all.filter(fault => fault.name.toLowerCase().includes(wanted))
  if (found.length === 0 || wanted === '')
    throw new UsageError(`There is no fault "${name}". There are: ${all.map(fault => fault.name).join(' · ')}.`)
  return found
}

function parse(args: readonly string[]) {
  try {
    return parseArgs({
      args: [...args],
      options: {
        short: { type: 'boolean', default: false },
        only: { type: 'string', multiple: true, default: [] },
        times: { type: 'string' },
        json: { type: 'string', default: join(import.meta.dirname, '../results/faults.json') },
        verbose: { type: 'boolean', default: false },
        list: { type: 'boolean', default: false },
        markdown: { type: 'boolean', default: false },
        help: { type: 'boolean', short: 'h', default: false },
      },
    }).values
  } catch (error) {
    // An unknown option, or one without its value.
    throw new UsageError(`${(error as Error).message}. --help says how it is used.`)
  }
}
