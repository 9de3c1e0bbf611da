import { existsSync } from 'node:fs'
import { homedir } from 'node:os'
import { join, resolve } from 'node:path'

/** The root of the checkout: where `package.json` with the workspaces is. */
export const repositoryRoot = resolve(import.meta.dirname, '../../..')

/** True for uid 0, which several servers refuse to run under. */
export const isRoot = process.getuid?.() === 0

/** The folders in which servers are looked for: `PATH`, and where Debian keeps daemons that are not on an ordinary user's `PATH`. */
export function searchPath(): string[] {
  const path = (process.env.PATH ?? '').split(':').filter(Boolean)
  return [...new Set([...path, '/usr/local/sbin', '/usr/local/bin', '/usr/sbin', '/usr/bin', '/sbin', '/bin'])]
}

/** True on a build machine, where nothing may be skipped. */
export function isContinuousIntegration(): boolean {
  return process.env.CI === 'true'
}

/** Where a user's own caches belong (XDG Base Directory), for a checkout that is not writable. */
export function userCacheDirectory(): string {
  return join(process.env.XDG_CACHE_HOME || join(homedir(), '.cache'), 'spectrum-cloud')
}

/** Where a user's own lasting state belongs (XDG Base Directory). */
export function userStateDirectory(): string {
  return join(process.env.XDG_STATE_HOME || join(homedir(), '.local', 'state'), 'spectrum-cloud')
}

/**
 * The environment every child starts from: what it needs to find programs and speak English, and nothing that
 * happens to be set on this machine.
 */
export function baseEnvironment(): Record<string, string> {
  const kept: Record<string, string> = { PATH: searchPath().join(':'), LANG: 'C.UTF-8', HOME: homedir() }
  for (const name of [
    'TMPDIR',
    'TZ',
    'CI',
    'NODE_EXTRA_CA_CERTS',
    'https_proxy',
    'http_proxy',
    'no_proxy',
    'GOPROXY',
    'GONOSUMDB',
    'GOFLAGS',
  ]) {
    const value = process.env[name]
    if (value !== undefined) kept[name] = value
  }
  return kept
}

/** The first of the search path's folders that holds `name`, as a full path. */
export function onPath(name: string): string | undefined {
  return searchPath()
    .map(folder => join(folder, name))
    .find(path => existsSync(path))
}

/** How many processes of each service, and which database. */
export type Topology = 'single' | 'pair'

/** Which topologies scenarios are to run on: both, unless `SPECTRUM_TOPOLOGY` names one. */
export function topologies(): readonly Topology[] {
  const chosen = process.env.SPECTRUM_TOPOLOGY
  if (chosen === undefined || chosen === '') return ['single', 'pair']
  if (chosen !== 'single' && chosen !== 'pair') throw new Error('SPECTRUM_TOPOLOGY must be single or pair')
  return [chosen]
}

/** The variables that set options of the gateway. */
export function spectrumVariables(): Record<string, string> {
  const isOurs = (entry: [string, string | undefined]): entry is [string, string] =>
    entry[0].startsWith('SPECTRUM_') && !entry[0].startsWith('SPECTRUM_TOPOLOGY') && entry[1] !== undefined
  return Object.fromEntries(Object.entries(process.env).filter(isOurs))
}
