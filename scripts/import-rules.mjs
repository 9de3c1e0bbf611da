import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { dirname, join, relative, resolve } from 'node:path'
import { moduleFacts } from './module-facts.mjs'

// Who may import whom. The rules, then the few lines that apply them. `npm run check` runs this file; every rule has a test
// in import-rules.test.mjs that breaks it. Types count as much as values, but for cycles: types are gone at run time.

/** Lower packages that each workspace's own code may import, by folder. Tests may import anything. */
const mayImport = {
  'packages/network': [],
  'packages/config': [],
  'packages/xmpp': [],
  'packages/messages': ['network'],
  'packages/bus': ['messages', 'network'],
  'packages/store': ['network'],
  'packages/service-kit': ['config'],
  'packages/network-testkit': ['network'],
  'networks/*': ['network'],
  'services/frontend': ['bus', 'config', 'messages', 'network', 'service-kit', 'xmpp'],
  'services/router': ['bus', 'config', 'messages', 'network', 'service-kit', 'store'],
  'services/worker': ['bus', 'config', 'messages', 'network', 'service-kit', 'networks/*'],
  'test/*': ['*'],
}

/** Things of the outside world, and the one folder that talks to each. */
const doors = [
  { what: /^(@prisma\/|prisma$|@libsql\/|pg$)/, only: ['packages/store'] },
  { what: /^(@nats-io\/|nats$)/, only: ['packages/bus'] },
  { what: /^(@xmpp\/|ltx$|saxes$)/, only: ['packages/xmpp', 'test'] },
  { what: /^(node:)?sqlite$|^better-sqlite3$/, only: ['packages/store'], isOpenToTests: true },
  { what: /^(pino|prom-client)$|^@opentelemetry\//, only: ['packages/service-kit'] },
]

/**
 * The members of `process` that code may use, by folder; `*` stands for every folder but networks. Tests may use all but `exit`;
 * so may scripts outside the workspaces. Whoever hands `process` on as a whole uses every member.
 */
const processMembers = {
  '*': [
    'argv',
    'cpuUsage',
    'execPath',
    'hrtime',
    'memoryUsage',
    'nextTick',
    'off',
    'on',
    'pid',
    'stderr',
    'stdout',
    'versions',
  ],
  'packages/config': ['env'],
  'packages/service-kit': ['exitCode', 'getActiveResourcesInfo', 'kill'],
  // Signal 0, which asks whether a process is alive.
  'packages/bus': ['kill'],
  // Workers that another router started.
  'services/router': ['kill'],
  'networks/*': ['nextTick'],
}
const endsProcess = new Set(['exit', 'reallyExit', 'abort'])

/** Ways to load a module that nobody can read off the source. */
const hiddenImports = new Set(['require', 'eval', 'Function', 'import(computed)', 'process.getBuiltinModule'])
const loaders = /^(node:)?(module|vm)$/

/** Networks get their sockets from their host; asking whether a text is an address is no socket. */
const outside =
  /^(node:)?(net|tls|dns|dns\/promises|dgram|http|https|http2|child_process|worker_threads|cluster|inspector|inspector\/promises)$/
const harmless = new Set(['isIP', 'isIPv4', 'isIPv6', 'BlockList'])
const outsideGlobals = new Set(['fetch', 'WebSocket', 'EventSource'])

const vagueNames = /(^|\/)(utils|helpers|types|common|misc)(\.[cm]?[jt]s|\/)/

/**
 * Every breach of a rule below `root`.
 *
 * @param {string} root a checkout, or something laid out like one
 * @returns {{ rule: string, file: string, line: number, message: string }[]}
 */
export function violations(root) {
  const files = sourceFiles(root)
  const modules = new Map(files.map(file => [file, moduleFacts(file, readFileSync(join(root, file), 'utf8'))]))
  const workspaces = new Map([...workspaceFolders(root)].map(folder => [nameOf(root, folder), folder]))
  const found = []
  for (const [file, facts] of modules) {
    const report = (rule, line, message) => found.push({ rule, file, line, message })
    checkFile(file, facts, workspaces, report)
  }
  for (const cycle of cycles(modules, workspaces))
    found.push({ rule: 'no-cycles', file: cycle[0], line: 1, message: `a cycle: ${[...cycle, cycle[0]].join(' → ')}` })
  return found
}

function checkFile(file, { imports, uses }, workspaces, report) {
  const home = folderOf(file)
  const isTest = /\.test\.[cm]?[jt]s$/.test(file) || file.startsWith('test/') || file.split('/')[2] === 'test'
  const isAt = folders => folders.some(folder => file === folder || file.startsWith(`${folder}/`))
  if (vagueNames.test(file)) report('named-homes', 1, 'a file that has no better name has no home yet')

  for (const { what, line } of uses) {
    if (what.startsWith('process.')) checkProcess(what.slice('process.'.length), home, isTest, line, report)
    if (hiddenImports.has(what)) report('no-hidden-imports', line, `${what}: modules are named where they are imported`)
    if (what === 'globalThis.*' && !isTest)
      report('globals-by-name', line, 'globals are used by their names, not through the object that has them all')
    if (home.startsWith('networks/') && !isTest && outsideGlobals.has(what))
      report('sockets-through-host', line, `${what}: a network gets its sockets from host.connect()`)
    if (what === 'export *') report('no-export-star', line, 'exports are named one by one')
    if (what === 'export default' && !/\.config\.ts$/.test(file))
      report('no-default-export', line, 'exports have names')
  }

  for (const { specifier, line, names } of imports) {
    if (specifier.startsWith('.')) {
      const target = resolve('/', dirname(file), specifier).slice(1)
      if (!target.startsWith(`${home}/`)) report('front-door', line, `${specifier} reaches into another folder`)
      continue
    }
    if (loaders.test(specifier))
      report('no-hidden-imports', line, `${specifier}: modules are named where they are imported`)
    const door = doors.find(({ what }) => what.test(specifier))
    if (door && !isAt(door.only) && !(isTest && door.isOpenToTests))
      report('one-door', line, `${specifier} is for ${door.only.join(' and ')} alone`)
    if (home.startsWith('networks/') && !isTest && outside.test(specifier) && !names.every(name => harmless.has(name)))
      report('sockets-through-host', line, `${specifier}: a network gets its sockets from host.connect()`)
    if (!specifier.startsWith('@spectrum/')) continue

    const [, name, ...deeper] = specifier.split('/')
    if (deeper.length > 0) report('front-door', line, `${specifier} reaches past the package's index`)
    const target = workspaces.get(`@spectrum/${name}`)
    if (target === undefined) report('front-door', line, `${specifier} is no workspace`)
    else if (target.startsWith('services/') && home !== target && !home.startsWith('test/'))
      report('services-never-meet', line, `${home} imports the service ${target}; they meet in messages`)
    else if (!isTest && !isAllowed(home, name, target))
      report('lower-packages-only', line, `${home} may not import ${target}`)
  }
}

function checkProcess(member, home, isTest, line, report) {
  if (endsProcess.has(member)) report('no-process-exit', line, 'dispose of resources and let the event loop empty')
  const parent = `${home.split('/')[0]}/*`
  const allowed = [...(processMembers[parent] ?? processMembers['*']), ...(processMembers[home] ?? [])]
  if (isTest || allowed.includes(member) || endsProcess.has(member)) return
  if (member === 'env') report('environment-only-in-config', line, 'process.env is read in packages/config alone')
  else report('process-by-member', line, `process.${member} is not for ${home}`)
}

function isAllowed(home, name, target) {
  const allowed = mayImport[home] ?? mayImport[`${home.split('/')[0]}/*`] ?? []
  return allowed.includes('*') || allowed.includes(name) || allowed.includes(`${target.split('/')[0]}/*`)
}

/** Circles of files that import each other's values, each once, from its alphabetically first file. */
function cycles(modules, workspaces) {
  const targets = file =>
    modules
      .get(file)
      .imports.filter(({ isType }) => !isType)
      .map(({ specifier }) =>
        specifier.startsWith('.')
          ? resolve('/', dirname(file), specifier).slice(1)
          : `${workspaces.get(specifier)}/src/index.ts`,
      )
      .filter(target => modules.has(target))
  const found = new Map()
  const done = new Set()
  const path = []
  const walk = file => {
    const at = path.indexOf(file)
    if (at >= 0) {
      const circle = path.slice(at)
      const first = circle.indexOf(circle.toSorted()[0])
      const turned = [...circle.slice(first), ...circle.slice(0, first)]
      found.set(turned.join(), turned)
      return
    }
    if (done.has(file)) return
    path.push(file)
    for (const target of targets(file)) walk(target)
    path.pop()
    done.add(file)
  }
  for (const file of modules.keys()) walk(file)
  return found.values()
}

const folderOf = file => file.split('/').slice(0, 2).join('/')

function* workspaceFolders(root) {
  for (const parent of ['packages', 'networks', 'services', 'test'])
    if (existsSync(join(root, parent)))
      for (const entry of readdirSync(join(root, parent), { withFileTypes: true }))
        if (entry.isDirectory()) yield `${parent}/${entry.name}`
}

const nameOf = (root, folder) => {
  const path = join(root, folder, 'package.json')
  return existsSync(path) ? JSON.parse(readFileSync(path, 'utf8')).name : undefined
}

/** All code of the workspaces relative to the root, generated code aside; JavaScript below test/ is programs of their own. */
function sourceFiles(root) {
  const below = (folder, accepted) =>
    readdirSync(folder, { withFileTypes: true }).flatMap(entry => {
      const path = join(folder, entry.name)
      if (entry.isDirectory()) return ['node_modules', 'gen', 'dist'].includes(entry.name) ? [] : below(path, accepted)
      return accepted.test(entry.name) && !/\.d\.[cm]?ts$/.test(entry.name) ? [relative(root, path)] : []
    })
  return [...workspaceFolders(root)].flatMap(folder =>
    below(join(root, folder), folder.startsWith('test/') ? /\.[cm]?tsx?$/ : /\.[cm]?[jt]sx?$/),
  )
}

if (process.argv[1] === import.meta.filename) {
  const found = violations(resolve(import.meta.dirname, '..'))
  for (const { rule, file, line, message } of found) console.log(`${file}:${line}  ${rule}: ${message}`)
  process.exitCode = found.length === 0 ? 0 : 1
}
