import { execFile } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { realpathSync } from 'node:fs'
import { chmod, cp, stat, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { promisify } from 'node:util'
import { baseEnvironment, isRoot } from './environment.ts'
import { freePort } from './ports.ts'
import { findProgram, type Program, type ProgramSpec } from './programs.ts'
import { Server, startChild } from './server.ts'
import { TemporaryFolder } from './temporary.ts'

const run = promisify(execFile)

const spec: ProgramSpec = {
  name: 'postgres',
  debianPath: 'usr/lib/postgresql/*/bin/postgres',
  packages: ['postgresql'],
  recognise: output => Number(/^postgres \(PostgreSQL\) (\d+)/m.exec(output)?.[1]) >= 14,
  what: 'PostgreSQL 15 (Debian package postgresql)',
}

/** PostgreSQL as it is found on this machine, or fetched. */
export function findPostgres(): Promise<Program> {
  return findProgram(spec)
}

/** The unprivileged user under which it runs when we are root: it refuses uid 0. */
const nobody = { uid: 65534, gid: 65534 }

/** A running PostgreSQL. */
export class PostgresServer extends Server {
  readonly port: number
  protected override readonly discardSignal = 'SIGQUIT'
  readonly #password: string
  readonly #psql: (database: string, sql: string) => Promise<string>
  #databases = 0

  constructor(
    parts: { port: number; password: string; psql: (database: string, sql: string) => Promise<string> },
    ...rest: ConstructorParameters<typeof Server>
  ) {
    super(...rest)
    this.port = parts.port
    this.#password = parts.password
    this.#psql = parts.psql
  }

  /** Makes a fresh, empty database and returns its `postgresql://` address, with the password in it. */
  async createDatabase(): Promise<string> {
    const name = `test${++this.#databases}_${randomBytes(3).toString('hex')}`
    await this.query('postgres', `CREATE DATABASE ${name}`)
    return `postgresql://spectrum:${this.#password}@127.0.0.1:${this.port}/${name}`
  }

  /** Runs SQL in a database, named by itself or by its address; answers rows as lines, with `|` between columns. */
  query(database: string, sql: string): Promise<string> {
    return this.#psql(database.slice(database.lastIndexOf('/') + 1), sql)
  }
}

/** Starts a PostgreSQL on loopback with data of its own. Commits survive its being killed, not a power cut. */
export async function startPostgres(): Promise<PostgresServer> {
  const user = isRoot ? nobody : undefined
  const folder = await TemporaryFolder.create('postgres', user)
  try {
    const program = await reachable(await findPostgres(), folder.path)
    const bin = dirname(program.command)
    const port = await freePort()
    const data = join(folder.path, 'data')
    const password = randomBytes(16).toString('hex')
    const env = { ...baseEnvironment(), ...program.env, HOME: folder.path }
    const passwordFile = join(folder.path, 'password')
    await writeFile(passwordFile, password)
    await chmod(passwordFile, 0o644)
    const settings = ['--auth=scram-sha-256', '--username=spectrum', '--encoding=UTF8', '--locale=C', '--no-sync']
    await run(join(bin, 'initdb'), [`--pgdata=${data}`, `--pwfile=${passwordFile}`, ...settings], {
      env,
      cwd: folder.path,
      ...user,
    })
    const psql = async (database: string, sql: string): Promise<string> => {
      const where = ['-h', '127.0.0.1', '-p', String(port), '-U', 'spectrum', '-d', database]
      const { stdout } = await run(join(bin, 'psql'), ['-XAtq', '-v', 'ON_ERROR_STOP=1', ...where, '-c', sql], {
        env: { ...env, PGPASSWORD: password },
        cwd: folder.path,
        maxBuffer: 64 << 20,
      })
      return stdout.trimEnd()
    }
    const options = {
      listen_addresses: '127.0.0.1',
      port: String(port),
      unix_socket_directories: folder.path,
      fsync: 'off',
      // Its compiler is not among what is fetched, and tests have no queries for it.
      jit: 'off',
      max_connections: '200',
    }
    const child = await startChild({
      name: 'postgres',
      command: program.command,
      args: ['-D', data, ...Object.entries(options).flatMap(([name, value]) => ['-c', `${name}=${value}`])],
      env,
      cwd: folder.path,
      ...(user ? { user } : {}),
      isReady: () => psql('postgres', 'select true').then(Boolean, () => false),
      // SIGTERM would wait for every client to leave; SIGINT is its fast orderly end.
      stopSignal: 'SIGINT',
    })
    return new PostgresServer({ port, password, psql }, child, folder.path, folder)
  } catch (error) {
    await folder[Symbol.asyncDispose]()
    throw error
  }
}

/** A copy of the program below `folder` when the other user cannot enter where it lies, such as below /root. */
async function reachable(program: Program, folder: string): Promise<Program> {
  const command = realpathSync(program.command)
  if (!isRoot || program.root === '/' || (await isOpenToAll(command))) return { ...program, command }
  const root = join(folder, 'program')
  await cp(program.root, root, { recursive: true, verbatimSymlinks: true })
  const move = (path: string) => path.replaceAll(program.root, root)
  const env = Object.fromEntries(Object.entries(program.env).map(([name, value]) => [name, move(value)]))
  return { ...program, root, env, command: move(command) }
}

async function isOpenToAll(path: string): Promise<boolean> {
  for (let at = path; ; at = dirname(at)) {
    if (((await stat(at)).mode & 0o001) === 0) return false
    if (at === '/') return true
  }
}
