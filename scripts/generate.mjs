// Generates what is derived: code for machines (built, never committed) and, with --docs, pages for people (committed, checked
// for drift). A step whose inputs have not changed since it last ran is left out.
import { spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { node, root } from './prepare.mjs'

const code = [
  {
    name: 'messages',
    inputs: ['proto'],
    tools: ['@bufbuild/buf', 'ts-proto'],
    outputs: ['packages/messages/src/gen/spectrum'],
    command: [join(root, 'node_modules/.bin/buf'), 'generate'],
    cwd: 'proto',
  },
  {
    name: 'store',
    inputs: ['packages/store/prisma/models.prisma', 'packages/store/generate.mjs', 'packages/store/package.json'],
    tools: ['prisma'],
    outputs: ['packages/store/src/gen/postgresql', 'packages/store/src/gen/sqlite'],
    command: ['npm', 'run', '--silent', 'generate'],
    cwd: 'packages/store',
  },
]

try {
  for (const step of code) runStep(step)
  if (process.argv.includes('--docs')) run('documentation', [node, 'scripts/reference-docs.ts'], '.')
} catch (error) {
  console.error(error.message)
  process.exitCode = 1
}

function runStep({ name, inputs, tools, outputs, command, cwd }) {
  if (!inputs.every(input => existsSync(join(root, input)))) return
  const stamp = join(root, '.cache/generated', name)
  const wanted = fingerprint(inputs, tools)
  const isFresh = outputs.every(path => existsSync(join(root, path))) && readIf(stamp) === wanted
  if (isFresh && !process.argv.includes('--force')) return
  run(name, command, cwd)
  mkdirSync(dirname(stamp), { recursive: true })
  writeFileSync(stamp, wanted)
}

function run(name, [command, ...args], cwd) {
  // What the tools say is of use only when they fail.
  const { status, stdout, stderr, error } = spawnSync(command, args, { cwd: join(root, cwd), encoding: 'utf8' })
  if (status !== 0) throw new Error(`generating ${name} failed\n${error?.message ?? ''}${stdout ?? ''}${stderr ?? ''}`)
}

/** A hash of the files that go in and the versions of the tools that work on them. */
function fingerprint(inputs, tools) {
  const hash = createHash('sha256')
  for (const input of inputs)
    for (const file of filesOf(input)) hash.update(file).update(readFileSync(join(root, file)))
  const { packages } = JSON.parse(readFileSync(join(root, 'package-lock.json'), 'utf8'))
  for (const [path, { version }] of Object.entries(packages))
    if (tools.some(tool => path.endsWith(`node_modules/${tool}`))) hash.update(path).update(version)
  return hash.digest('hex')
}

function filesOf(path) {
  const entries = path.includes('.')
    ? undefined
    : readdirSync(join(root, path), { recursive: true, withFileTypes: true })
  if (entries === undefined) return [path]
  return entries
    .filter(entry => entry.isFile())
    .map(entry => join(entry.parentPath, entry.name).slice(root.length + 1))
    .sort()
}

function readIf(path) {
  return existsSync(path) ? readFileSync(path, 'utf8') : undefined
}
