import { execFile } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { forgetPackages, unpackedPackages } from './debian.ts'
import { baseEnvironment, searchPath } from './environment.ts'

const run = promisify(execFile)

/** A server is neither on this machine nor to be had; the message is one sentence on what to install. */
export class MissingProgramError extends Error {
  override name = 'MissingProgramError'
}

/** A program that was found, and how to run it. */
export interface Program {
  command: string
  /** What its libraries need in the environment; empty for one that is installed. */
  env: Record<string, string>
  /** The folder that stands for `/` of what was unpacked; `/` for one that is installed. */
  root: string
  /** What it says about itself. */
  version: string
}

/** What to look for. */
export interface ProgramSpec {
  /** Its file name. */
  name: string
  /** Where Debian's package puts it, below the root; `*` in one component stands for any name, the highest first. */
  debianPath: string
  /** The Debian packages that hold it. */
  packages: readonly string[]
  /** Prints its version; `['--version']` by default. */
  versionArgs?: readonly string[]
  /** Its exit code after that; 0 by default. */
  versionExitCode?: number
  /** Recognises its version output: names are shared by different programs. */
  recognise: (output: string) => boolean
  /** What to tell somebody who has neither, such as `PostgreSQL 15 or newer (Debian package postgresql)`. */
  what: string
  /** The program that runs it, when it is a script, made from the root where it was found. */
  wrap?: (root: string) => Promise<{ interpreter?: string; env: Record<string, string> }>
}

const found = new Map<string, Promise<Program>>()

/**
 * Finds a program of the right kind and version: on the search path, among Debian's own places, else as Debian
 * packages that are fetched and unpacked. Found once per process.
 *
 * @throws Error with one sentence on what to install
 */
export function findProgram(spec: ProgramSpec): Promise<Program> {
  let program = found.get(spec.name)
  if (program === undefined) {
    program = search(spec)
    found.set(spec.name, program)
    program.catch(() => found.delete(spec.name))
  }
  return program
}

async function search(spec: ProgramSpec): Promise<Program> {
  const installed = [
    ...searchPath().map(folder => join(folder, spec.name)),
    ...(await expand('/', spec.debianPath)),
  ].filter(path => existsSync(path))
  for (const command of new Set(installed)) {
    const program = await tryProgram(spec, command, '/')
    if (program) return program
  }
  return fetchProgram(spec)
}

/** The program from Debian packages, whether or not one is installed. Unpacked ones that no longer run are fetched again. */
export async function fetchProgram(spec: ProgramSpec): Promise<Program> {
  let reason = ''
  for (let attempt = 1; attempt <= 2; attempt++) {
    try {
      const root = await unpackedPackages(spec.name, spec.packages)
      for (const command of await expand(root, spec.debianPath)) {
        const program = await tryProgram(spec, command, root)
        if (program) return program
      }
      reason = `what ${spec.packages.join(' ')} holds does not run here or is too old`
    } catch (error) {
      reason = (error as Error).message
      break
    }
    if (attempt === 1) await forgetPackages(spec.name)
  }
  throw new MissingProgramError(
    `Please install ${spec.what}: it is not on this machine and could not be fetched (${reason}).`,
  )
}

async function tryProgram(spec: ProgramSpec, command: string, root: string): Promise<Program | undefined> {
  const env = root === '/' ? {} : await libraryEnvironment(root)
  try {
    const { stdout, stderr } = await run(command, spec.versionArgs ?? ['--version'], {
      env: { ...baseEnvironment(), ...env },
      timeout: 10_000,
    }).catch((error: { code?: number; stdout: string; stderr: string }) => {
      if (spec.versionExitCode !== undefined && error.code === spec.versionExitCode) return error
      throw error
    })
    const version = (stdout + stderr).trim().split('\n')[0] ?? ''
    return spec.recognise(stdout + stderr) ? { command, env, root, version } : undefined
  } catch {
    // It does not run here at all: not the program that is looked for.
    return undefined
  }
}

/** Makes the loader look first into the library folders of what was unpacked. */
async function libraryEnvironment(root: string): Promise<Record<string, string>> {
  const folders = [
    ...(await expand(root, 'usr/lib/*-linux-gnu*')),
    ...(await expand(root, 'lib/*-linux-gnu*')),
    join(root, 'usr/lib'),
  ]
  return { LD_LIBRARY_PATH: folders.filter(folder => existsSync(folder)).join(':') }
}

/** The existing paths that a pattern with `*` in its components stands for, highest version first. */
export async function expand(root: string, pattern: string): Promise<string[]> {
  let paths = [root]
  for (const part of pattern.split('/').filter(Boolean)) {
    const next: string[] = []
    for (const path of paths) {
      if (!part.includes('*')) {
        next.push(join(path, part))
        continue
      }
      const matches = new RegExp(`^${part.replaceAll('.', '\\.').replaceAll('*', '.*')}$`)
      const names = (await readdir(path).catch(() => [])).filter(name => matches.test(name))
      names.sort((a, b) => b.localeCompare(a, 'en', { numeric: true }))
      next.push(...names.map(name => join(path, name)))
    }
    paths = next
  }
  return paths.filter(path => existsSync(path))
}

/** The name of the interpreter that a script names in its first line. */
export function interpreterOf(script: string): string {
  const line = readFileSync(script, 'utf8').split('\n', 1)[0] ?? ''
  return /^#!.*?([^/\s]+)\s*$/.exec(line)?.[1] ?? ''
}
