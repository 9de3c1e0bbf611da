import { spawn } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { join, resolve } from 'node:path'

// Plain JavaScript without dependencies: this runs before anything is installed, on the Node that the machine has.

/** The root of the checkout. */
export const root = resolve(import.meta.dirname ?? new URL('.', import.meta.url).pathname, '..')

/** The Node 24 that the project runs on; it comes with the dependencies. */
export const node = join(root, 'node_modules/.bin/node')

/** A step before the start went wrong; the message is one sentence for the person at the terminal. */
export class PrepareError extends Error {
  name = 'PrepareError'
}

/**
 * Installs the dependencies unless those here are the ones that package-lock.json names, and generates code.
 *
 * @param {(line: string) => void} say told what is being done, when it takes time
 */
export async function prepare(say) {
  if (Number(process.versions.node.split('.')[0]) < 20)
    throw new PrepareError(`Please use Node 20 or newer: this is Node ${process.versions.node}.`)
  if (!isInstalled()) {
    say('Installing dependencies (npm ci) …')
    const npm = process.env.npm_execpath
    const [command, ...args] = npm?.endsWith('.js') ? [process.execPath, npm] : ['npm']
    if ((await run(command, [...args, 'ci', '--no-audit', '--no-fund'])) !== 0)
      throw new PrepareError('The dependencies could not be installed: see what npm ci printed above.')
  }
  if (!existsSync(node)) throw new PrepareError('Node 24 is missing from node_modules: please run npm ci.')
  if (existsSync(join(root, 'scripts/generate.mjs')) && (await run(node, [join(root, 'scripts/generate.mjs')])) !== 0)
    throw new PrepareError('Code could not be generated: see what npm run generate printed above.')
}

/** True when node_modules holds what package-lock.json names. Packages for other platforms may be missing. */
function isInstalled() {
  const installed = join(root, 'node_modules/.package-lock.json')
  if (!existsSync(installed) || !existsSync(node)) return false
  const here = JSON.parse(readFileSync(installed, 'utf8')).packages
  const wanted = JSON.parse(readFileSync(join(root, 'package-lock.json'), 'utf8')).packages
  return Object.entries(wanted).every(([path, entry]) => {
    if (!path.includes('node_modules/')) return true
    return here[path] === undefined ? entry.optional === true : here[path].version === entry.version
  })
}

/**
 * Runs a command in the checkout, with its output shown.
 *
 * @param {string} command
 * @param {readonly string[]} args
 * @returns {Promise<number>} its exit code; 1 when it could not be started or was killed
 */
export function run(command, args) {
  return new Promise(done => {
    const child = spawn(command, args, { cwd: root, stdio: ['ignore', 'inherit', 'inherit'] })
    child.once('error', error => {
      console.error(`${command}: ${error.message}`)
      done(1)
    })
    child.once('exit', code => done(code ?? 1))
  })
}
