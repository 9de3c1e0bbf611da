// npm leaves a package for another platform out of package-lock.json when the registry at hand does not have it, and then
// `npm ci` refuses the file everywhere. This adds what is missing: name, version and platform tell all that npm needs to leave
// such a package alone on other platforms, and to fetch it on its own. `--check` only says what is missing.
import { readFileSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'

const path = join(resolve(import.meta.dirname, '..'), 'package-lock.json')
const lock = JSON.parse(readFileSync(path, 'utf8'))
const missing = missingOf(lock.packages)

if (missing.length > 0 && process.argv.includes('--check')) {
  for (const { key, entry } of missing) console.log(`package-lock.json lacks ${key} ${entry.version}`)
  console.log('run: node scripts/complete-lock.mjs')
  process.exitCode = 1
} else if (missing.length > 0) {
  for (const { key, entry } of missing) lock.packages[key] = entry
  const { '': own, ...rest } = lock.packages
  const sorted = Object.keys(rest).sort((a, b) => a.localeCompare(b, 'en'))
  lock.packages = { '': own, ...Object.fromEntries(sorted.map(key => [key, rest[key]])) }
  writeFileSync(path, `${JSON.stringify(lock, undefined, 2)}\n`)
  console.log(`package-lock.json: added ${missing.length} packages for other platforms`)
}

/** Optional dependencies of fixed version that no folder from the dependent upwards has. */
function missingOf(packages) {
  const found = new Map()
  for (const [dependent, { optionalDependencies = {}, dev }] of Object.entries(packages))
    for (const [name, version] of Object.entries(optionalDependencies)) {
      if (!/^\d/.test(version) || foldersAbove(dependent).some(folder => `${folder}node_modules/${name}` in packages))
        continue
      const parent = dependent.slice(0, dependent.lastIndexOf('node_modules/'))
      const key = `${parent}node_modules/${name}`
      found.set(key, { key, entry: { version, ...platformOf(name), ...(dev && { dev }), optional: true } })
    }
  return [...found.values()]
}

function foldersAbove(path) {
  const folders = [`${path}/`]
  for (let at = path.lastIndexOf('node_modules/'); at >= 0; at = path.lastIndexOf('node_modules/', at - 1)) {
    folders.push(path.slice(0, at))
    if (at === 0) break
  }
  return [...folders, '']
}

/** What the names of such packages end with: `-linux-arm64-musl`, `-darwin-x64`, `-win32-x64-msvc`. */
function platformOf(name) {
  const pattern = /-(aix|android|darwin|freebsd|linux|netbsd|openbsd|openharmony|sunos|win32|wasm32)(?:-([a-z0-9_]+))?/
  const [, os = '', cpu = ''] = pattern.exec(name) ?? []
  const libc = /musl/.test(name) ? { libc: ['musl'] } : /gnu/.test(name) && os === 'linux' ? { libc: ['glibc'] } : {}
  const known = { armv7: 'arm', 'arm-eabi': 'arm', riscv64gc: 'riscv64' }
  if (os === 'wasm32') return { cpu: ['wasm32'] }
  return { ...(cpu && { cpu: [known[cpu] ?? cpu] }), ...libc, ...(os && { os: [os] }) }
}
