// npm run check: what can be told without starting a server. Every step runs, each prints its time, and any failure fails all.
import { spawnSync } from 'node:child_process'
import { existsSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { delimiter, join } from 'node:path'
import { node, PrepareError, prepare, root } from './prepare.mjs'

/** What the chart is linted and rendered with where helm is not installed. */
const helmVersion = 'v3.19.4'
const bin = name => join(root, 'node_modules/.bin', name)

/** Each answers with nothing, or with what is wrong; `note` says what was left out, and why. */
const steps = [
  ['lock file', () => command(node, 'scripts/complete-lock.mjs', '--check')],
  ['generated code', () => command(node, 'scripts/generate.mjs')],
  ['types', () => command(bin('tsc'), '-b')],
  ['lint and format', () => command(bin('biome'), 'check', '.')],
  ['import rules', () => command(node, 'scripts/import-rules.mjs')],
  ['tests of the rules', () => command(node, '--test', '--test-reporter=dot', 'scripts/**/*.test.mjs')],
  ['dead exports', () => command(bin('knip'), '--no-progress', '--no-config-hints')],
  ['proto lint', () => command(bin('buf'), 'lint', 'proto')],
  ['proto breaking', protoBreaking],
  ['generated pages', () => command(node, 'scripts/reference-docs.ts', '--check')],
  ['chart', chart],
]

const started = performance.now()
let failures = 0
try {
  await prepare(line => console.log(line))
  const chosen = process.argv.slice(2)
  for (const [name, run] of steps)
    if (chosen.length === 0 || chosen.includes(name)) {
      const begin = performance.now()
      const { problem, note } = run()
      if (problem !== undefined) failures++
      console.log(`${problem === undefined ? '✔' : '✖'} ${name} ${seconds(begin)}${note ? ` (${note})` : ''}`)
      if (problem) console.log(problem.trimEnd().replaceAll(/^/gm, '  '))
    }
} catch (error) {
  if (!(error instanceof PrepareError)) throw error
  console.log(error.message)
  failures++
}
console.log(failures === 0 ? `check passed in ${seconds(started)}` : `check: ${failures} failed in ${seconds(started)}`)
process.exitCode = failures === 0 ? 0 : 1

function command(file, ...args) {
  const { status, stdout, stderr, error } = spawnSync(file, args, { cwd: root, encoding: 'utf8', maxBuffer: 1 << 26 })
  return status === 0 ? {} : { problem: `${error?.message ?? ''}${stdout ?? ''}${stderr ?? ''}` }
}

/** Compares with the newest release, else with where this branch left main, else with the commit before. */
function protoBreaking() {
  const git = (...args) => spawnSync('git', args, { cwd: root, encoding: 'utf8' })
  const candidates = [
    git('describe', '--tags', '--abbrev=0', '--match', 'v*').stdout?.trim(),
    git('merge-base', 'HEAD', 'origin/main').stdout?.trim(),
    'HEAD~1',
  ]
  const here = git('rev-parse', 'HEAD').stdout?.trim()
  const base = candidates.find(
    ref => ref && ref !== here && git('cat-file', '-e', `${ref}:proto/buf.yaml`).status === 0,
  )
  if (base === undefined) return { note: 'no earlier version is in this clone' }
  const folder = mkdtempSync(join(tmpdir(), 'proto-before-'))
  try {
    const tar = join(folder, 'proto.tar')
    const archive = git('archive', '--format=tar', '-o', tar, base, 'proto')
    if (archive.status !== 0) return { problem: archive.stderr }
    return { ...command(bin('buf'), 'breaking', 'proto', '--against', `${tar}#subdir=proto`), note: `against ${base}` }
  } finally {
    rmSync(folder, { recursive: true })
  }
}

/** With helm: lint, and render every supported set-up. Without: the chart's own consistency, as far as text tells. */
function chart() {
  const { helm, why } = findHelm()
  const rendered = command(node, 'scripts/chart-check.mjs', ...(helm === undefined ? [] : [helm]))
  return helm === undefined ? { ...rendered, note: `not rendered: ${why}` } : rendered
}

/** helm from the search path or the cache; a build machine with Go builds it once. */
function findHelm() {
  const cache = join(root, '.cache/bin')
  const folders = [cache, ...(process.env.PATH ?? '').split(delimiter)]
  const found = folders.map(folder => join(folder, 'helm')).find(path => existsSync(path))
  if (found !== undefined) return { helm: found }
  if (process.env.CI !== 'true') return { why: 'helm is not here' }
  if (spawnSync('go', ['version']).status !== 0) return { why: 'neither helm nor Go is here' }
  console.log(`  building helm ${helmVersion} with Go, once …`)
  const env = { ...process.env, GOBIN: cache, GOTOOLCHAIN: 'local', CGO_ENABLED: '0' }
  const { status, stderr } = spawnSync('go', ['install', `helm.sh/helm/v3/cmd/helm@${helmVersion}`], {
    env,
    encoding: 'utf8',
  })
  return status === 0
    ? { helm: join(cache, 'helm') }
    : { why: `helm could not be built: ${stderr?.trim().split('\n').at(-1)}` }
}

function seconds(begin) {
  return `${((performance.now() - begin) / 1000).toFixed(1)} s`
}
