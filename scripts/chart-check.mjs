// Checks charts/spectrum. Given the path of helm: lints it and renders every file of ci/, and looks at what came out. Without: that
// the files parse, that blocks are closed, and that templates use only values and templates that exist.
import { execFileSync } from 'node:child_process'
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { loadConfig } from '@spectrum/config'
import { parse, parseAllDocuments } from 'yaml'
import { root } from './prepare.mjs'

const chart = join(root, 'charts/spectrum')
const problems = []
const [helm] = process.argv.slice(2)

const values = parse(readFileSync(join(chart, 'values.yaml'), 'utf8'))
parse(readFileSync(join(chart, 'Chart.yaml'), 'utf8'))
const templates = readdirSync(join(chart, 'templates')).map(name => ({
  name,
  text: readFileSync(join(chart, 'templates', name), 'utf8').replaceAll(/\{\{-?\s*\/\*[\s\S]*?\*\/\s*-?\}\}/g, ''),
}))
const setUps = readdirSync(join(chart, 'ci')).filter(name => name.endsWith('-values.yaml'))

checkTexts()
if (helm !== undefined) for (const setUp of setUps) checkRendered(setUp)
for (const problem of problems) console.log(problem)
process.exitCode = problems.length === 0 ? 0 : 1

function checkTexts() {
  const defined = new Set(
    templates.flatMap(({ text }) => [...text.matchAll(/define "([^"]+)"/g)].map(match => match[1])),
  )
  for (const { name, text } of templates) {
    const opened = [...text.matchAll(/\{\{-?\s*(if|range|with|define)\b/g)].length
    const closed = [...text.matchAll(/\{\{-?\s*end\b/g)].length
    if (opened !== closed) problems.push(`${name}: ${opened} blocks are opened, ${closed} closed`)
    for (const [, path] of text.matchAll(/(?:\$|[\s(])\.Values\.([A-Za-z.]+)/g))
      if (!hasPath(values, path.split('.'))) problems.push(`${name}: values.yaml has no ${path}`)
    for (const [, used] of text.matchAll(/include "([^"]+)"/g))
      if (!defined.has(used)) problems.push(`${name}: no template ${used}`)
  }
}

function hasPath(tree, [key, ...rest]) {
  if (tree === null || typeof tree !== 'object' || !(key in tree)) return false
  const isOpen = tree[key] !== null && typeof tree[key] === 'object' && Object.keys(tree[key]).length === 0
  return rest.length === 0 || isOpen || hasPath(tree[key], rest)
}

function checkRendered(setUp) {
  const options = ['-f', join(chart, 'ci', setUp)]
  const lint = run(['lint', '--strict', chart, ...options])
  const text =
    lint === undefined ? undefined : run(['template', 'gateway', chart, '--kube-version', '1.31.0', ...options])
  if (text === undefined) return
  const objects = parseAllDocuments(text).flatMap(document => document.toJS() ?? [])
  checkConfiguration(setUp, objects.find(({ kind }) => kind === 'ConfigMap').data['gateway.cfg'])
  const workloads = objects.filter(({ kind }) => ['Deployment', 'StatefulSet'].includes(kind))
  const services = workloads.map(({ metadata }) => metadata.labels['app.kubernetes.io/component']).sort()
  if (services.join() !== 'frontend,router,worker')
    problems.push(`${setUp}: renders ${services.join() || 'no service'}`)
  for (const { metadata, spec } of workloads) {
    const pod = spec.template.spec
    const [container] = pod.containers
    const want = (is, what) => is || problems.push(`${setUp}: ${metadata.name}: ${what}`)
    want(pod.securityContext?.runAsNonRoot === true, 'may run as root')
    want(container.securityContext?.readOnlyRootFilesystem === true, 'may write to its root file system')
    want(container.readinessProbe && container.livenessProbe, 'has no probes')
    want(container.resources?.requests, 'asks for no resources')
    const plain = (container.env ?? []).filter(
      ({ name, value }) => /PASSWORD|SECRET|MASTER_KEY|TOKEN/.test(name) && value,
    )
    want(plain.length === 0, `has a secret in the clear: ${plain.map(({ name }) => name).join()}`)
    const selected = Object.entries(spec.selector.matchLabels).every(
      ([key, value]) => spec.template.metadata.labels[key] === value,
    )
    want(selected, 'selects other pods than its own')
  }
}

/** The configuration that came out must be one that the services take. */
function checkConfiguration(setUp, cfg) {
  const file = join(mkdtempSync(join(tmpdir(), 'chart-')), 'gateway.cfg')
  try {
    writeFileSync(file, cfg)
    const env = { SPECTRUM_SERVICE_PASSWORD: 'x', SPECTRUM_DATABASE_CONNECTIONSTRING: 'postgres://x@x/x' }
    const { warnings } = loadConfig({ argv: ['--config', file], env })
    for (const warning of warnings) problems.push(`${setUp}: ${JSON.stringify(warning)}`)
  } catch (error) {
    problems.push(`${setUp}: ${error.message}`)
  } finally {
    rmSync(dirname(file), { recursive: true })
  }
}

function run(args) {
  try {
    return execFileSync(helm, args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] })
  } catch (error) {
    problems.push(`helm ${args[0]}: ${error.stdout ?? ''}${error.stderr ?? error.message}`)
    return undefined
  }
}
