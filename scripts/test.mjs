// npm test: set-up, check, unit tests, tests with real servers, scenarios, the short form of the fault suite. The last line
// is the sum of all.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { chmodSync, existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { availableParallelism, tmpdir } from 'node:os'
import { join } from 'node:path'
import { node, PrepareError, prepare, root, run } from './prepare.mjs'
import { runTestFile } from './test-file.mjs'

const totals = { passed: 0, failed: 0 }
const started = performance.now()
const running = new Set()
const temporary = mkdtempSync(join(tmpdir(), 'spectrum-test-'))
// Servers that refuse to be root run as somebody else, who must get to their folders below.
chmodSync(temporary, 0o755)

for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'])
  process.on(signal, () => {
    for (const child of running) child.kill('SIGKILL')
    rmSync(temporary, { recursive: true, force: true })
    process.kill(process.pid, 'SIGKILL')
  })

/** They use a fifth of a core, and wait for the rest of their time: they run beside the others, one after the other. */
const waitingScenarios = ['canary', 'server-restart', 'stop-without-bus']

const onlySections = process.argv.slice(2)

try {
  await section('set-up', () => prepare(line => console.log(line)))
  await section('check', check)
  await section('unit tests', () =>
    testFiles(filesBelow(['packages', 'networks', 'services', 'test'], 'src', isUnit), 60),
  )
  await section('servers', findServers)
  await section('tests with servers', () =>
    testFiles(filesBelow(['packages', 'networks', 'services', 'test'], 'test', isUnit), 300),
  )
  await section('scenarios', scenarios)
  await section('faults', faults)
} catch (error) {
  console.error(error instanceof PrepareError ? error.message : error)
  totals.failed++
} finally {
  rmSync(temporary, { recursive: true, force: true })
}

console.log(`\nall in ${seconds(started)}`)
process.exitCode = totals.failed === 0 && totals.passed > 0 ? 0 : 1
console.log(`${totals.passed} passed, ${totals.failed} failed`)

/** Runs one part and prints its name and time. Arguments on the command line choose parts by name; set-up is always done. */
async function section(name, work) {
  if (onlySections.length > 0 && name !== 'set-up' && !onlySections.includes(name)) return
  const begin = performance.now()
  console.log(`\n── ${name}`)
  await work()
  console.log(`── ${name}: ${seconds(begin)}`)
}

async function check() {
  const isPresent = existsSync(join(root, 'scripts/check.mjs'))
  const steps = isPresent
    ? [[node, 'scripts/check.mjs']]
    : [
        [join(root, 'node_modules/.bin/tsc'), '-b'],
        [join(root, 'node_modules/.bin/biome'), 'check', '.'],
      ]
  for (const [command, ...args] of steps)
    if ((await run(command, args)) !== 0) {
      console.log(`✖ ${args.join(' ')}`)
      totals.failed++
    }
}

/** Finds or fetches every server first, so that no test's deadline has to wait for a download. */
async function findServers() {
  if ((await run(node, ['test/stack/src/find-servers.ts'])) === 0) return
  console.log('✖ a server is missing')
  totals.failed++
}

/** Every scenario file runs twice: one process of each service on SQLite, two of each on PostgreSQL. */
async function scenarios() {
  const files = filesBelow(['test/scenarios'], '', () => true)
  const jobs = files.flatMap(file => ['single', 'pair'].map(topology => ({ file, topology })))
  const waits = ({ file }) => waitingScenarios.some(name => file.endsWith(`/${name}.test.ts`))
  const runJob = ({ file, topology }) => testFile(file, 420, topology)
  await Promise.all([
    inParallel(
      jobs.filter(job => !waits(job)),
      runJob,
    ),
    inTurn(jobs.filter(waits), runJob),
  ])
}

/** Some of the faults, once each; alone on the machine, since they measure. A row that cannot be run here is neither passed nor failed. */
async function faults() {
  const results = join(temporary, 'faults.json')
  const child = spawn(node, ['test/faults/src/main.ts', '--short', '--json', results], {
    cwd: root,
    stdio: ['ignore', 'inherit', 'inherit'],
    env: { ...process.env, TMPDIR: temporary },
  })
  running.add(child)
  const timer = setTimeout(() => child.kill('SIGTERM'), 480_000)
  const [exit] = await once(child, 'exit')
  clearTimeout(timer)
  running.delete(child)
  const rows = existsSync(results) ? JSON.parse(readFileSync(results, 'utf8')).rows : []
  const passed = rows.filter(row => row.passed).length
  const failed = rows.filter(row => !row.passed && row.notRun === undefined).length
  totals.passed += passed
  totals.failed += failed
  if (failed === 0 && (exit !== 0 || passed === 0)) totals.failed++
}

async function inTurn(items, work) {
  for (const item of items) await work(item)
}

async function testFiles(files, timeoutSeconds) {
  await inParallel(files, file => testFile(file, timeoutSeconds))
}

/** Two at a time on two cores: the tests share them with the servers they start. */
async function inParallel(items, work) {
  const queue = [...items]
  const workers = Math.min(4, Math.max(2, availableParallelism()))
  await Promise.all(
    Array.from({ length: workers }, async () => {
      for (let item = queue.shift(); item !== undefined; item = queue.shift()) await work(item)
    }),
  )
}

/** Runs one file in a process of its own and adds up its tests. A file that crashes, hangs or has no test is a failure. */
async function testFile(file, timeoutSeconds, topology) {
  const begin = performance.now()
  const results = join(temporary, `${file.replaceAll('/', '-')}.${topology ?? 'results'}`)
  const env = { TMPDIR: temporary, ...(topology ? { SPECTRUM_TOPOLOGY: topology } : {}) }
  const { exit, output, outcomes } = await runTestFile({ file, results, timeoutSeconds, env, running })
  const count = outcome => outcomes.filter(test => test.outcome === outcome).length
  const [passed, skipped] = [count('pass'), count('skipped')]
  let failed = count('fail') + (process.env.CI === 'true' ? skipped : 0)
  if (failed === 0 && (exit !== 0 || outcomes.length === 0)) failed++
  totals.passed += passed
  totals.failed += failed
  const notes = [`${passed} passed`]
  if (failed > 0) notes.push(`${failed} failed`)
  if (skipped > 0) notes.push(`${skipped} skipped`)
  console.log(
    `${failed > 0 ? '✖' : '✔'} ${file}${topology ? ` (${topology})` : ''}: ${notes.join(', ')} in ${seconds(begin)}`,
  )
  if (failed > 0) console.log(`${output}\n(${exit === 0 ? 'ended in order' : `ended with ${exit}`})`)
}

/** All `*.test.ts` in the `inner` folder of each workspace below these folders; scenarios have a section of their own. */
function filesBelow(folders, inner, accept) {
  return folders.flatMap(folder => {
    const all = readdirSync(join(root, folder), { recursive: true }).map(name => `${folder}/${name}`)
    return all.filter(path => path.endsWith('.test.ts') && !path.includes('node_modules') && accept(path, inner)).sort()
  })
}

function isUnit(path, inner) {
  return path.split('/')[2] === inner && !path.startsWith('test/scenarios/')
}

function seconds(since) {
  return `${((performance.now() - since) / 1000).toFixed(1)} s`
}
