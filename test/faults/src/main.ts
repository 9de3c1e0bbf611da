// npm run faults: lets one thing after another break under load, and prints what was lost, doubled and delayed.
import { execFile } from 'node:child_process'
import { mkdir, writeFile } from 'node:fs/promises'
import { availableParallelism } from 'node:os'
import { dirname } from 'node:path'
import { promisify } from 'node:util'
import { ErgoUnavailableError, findErgo, repositoryRoot } from '@spectrum/stack'
import { faults } from './faults/index.ts'
import type { Result } from './judge.ts'
import { Load } from './load/load.ts'
import { type Options, readOptions, UsageError } from './options.ts'
import { type Fault, runFault } from './run.ts'
import { System, type Topology } from './system.ts'
import { heading, lineOf, markdownOf, missesOf, type Row, runLine } from './table.ts'

/** The system that stands, with its load: rows that ask for the same one share it while it is well. */
let standing: { topology: string; system: System; load: Load } | undefined
let isStopping = false

for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const)
  process.once(signal, () => {
    isStopping = true
    // What is still being started dies with this process (see Child), and so does whatever still waits for something.
    void discard().finally(() => process.kill(process.pid, signal))
  })

try {
  const options = readOptions(process.argv.slice(2), faults)
  if (options.says === undefined) await runAll(options)
  else console.log(options.says)
} catch (error) {
  if (!(error instanceof UsageError)) throw error
  console.error(error.message)
  process.exitCode = 2
}

async function runAll(options: Options): Promise<void> {
  const begun = performance.now()
  const rows: Row[] = []
  try {
    for (const fault of options.faults) if (!isStopping) rows.push(await row(fault, options))
  } finally {
    await discard()
  }
  const misses = rows.flatMap(missesOf)
  console.log(`\n${heading}\n${rows.map(lineOf).join('\n')}`)
  if (options.markdown) console.log(`\n${markdownOf(rows)}`)
  const notRun = rows.filter(each => each.notRun !== undefined).length
  const passed = rows.filter(each => each.notRun === undefined && missesOf(each).length === 0).length
  console.log(
    `${passed} passed, ${rows.length - passed - notRun} failed, ${notRun} not run in ${Math.round((performance.now() - begun) / 1000)} s; figures in ${options.json}`,
  )
  await mkdir(dirname(options.json), { recursive: true })
  await writeFile(options.json, `${JSON.stringify(await document(rows), undefined, 2)}\n`)
  if (misses.length > 0) process.exitCode = 1
}

async function row(fault: Fault, { times, verbose }: Options): Promise<Row> {
  console.log(`── ${fault.name}`)
  const missing = await missingFor(fault.topology)
  if (missing !== undefined) {
    console.log(`  not run: ${missing}`)
    return { fault: fault.name, results: [], failures: [], notRun: missing }
  }
  const results: Result[] = []
  const failures: string[] = []
  for (let attempt = 1; attempt <= times && !isStopping; attempt++) {
    try {
      const { system, load } = await stand(fault.topology, verbose)
      const result = await runFault(fault, system, load, attempt)
      results.push(result)
      console.log(runLine(result, attempt))
      // What a miss leaves behind must not spoil the next run.
      if (result.misses.length > 0) {
        if (verbose) console.log(system.logs(100))
        await discard()
      }
    } catch (error) {
      if (isStopping) break
      const message = (error as Error).message
      failures.push(message.split('\n', 1)[0] ?? message)
      console.log(`  run ${attempt} broke off: ${message}\n${standing?.system.logs(verbose ? 100 : 5) ?? ''}`)
      await discard()
    }
  }
  return { fault: fault.name, results, failures }
}

/** Why this machine cannot run it. */
async function missingFor(topology: Topology): Promise<string | undefined> {
  if (topology.irc !== 'ergo') return undefined
  try {
    await findErgo()
    return undefined
  } catch (error) {
    if (error instanceof ErgoUnavailableError) return 'Ergo cannot be had here'
    throw error
  }
}

async function stand(topology: Topology, verbose: boolean): Promise<{ system: System; load: Load }> {
  const key = JSON.stringify(topology)
  if (standing?.topology === key) return standing
  await discard()
  const system = await System.start(topology, sentence => verbose && console.log(`  ${sentence}`))
  try {
    standing = { topology: key, system, load: await Load.connect(system.target) }
    return standing
  } catch (error) {
    const logs = system.logs(5)
    await system[Symbol.asyncDispose]()
    throw new Error(`${(error as Error).message}\n${logs}`, { cause: error })
  }
}

async function discard(): Promise<void> {
  const gone = standing
  standing = undefined
  await gone?.load[Symbol.asyncDispose]()
  await gone?.system[Symbol.asyncDispose]()
}

async function document(rows: readonly Row[]): Promise<object> {
  const commit = await promisify(execFile)('git', ['rev-parse', '--short', 'HEAD'], { cwd: repositoryRoot }).then(
    ({ stdout }) => stdout.trim(),
    () => 'unknown',
  )
  return {
    date: new Date().toISOString(),
    commit,
    node: process.version,
    cores: availableParallelism(),
    rows: rows.map(each => ({ ...each, passed: each.notRun === undefined && missesOf(each).length === 0 })),
  }
}
