import { randomBytes } from 'node:crypto'
import {
  accessSync,
  constants,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { basename, dirname, join } from 'node:path'
import type { Config } from '@spectrum/config'
import { isAlive, takeLock } from './cache.ts'
import { userStateDirectory } from './environment.ts'
import { StartError, say } from './terminal.ts'

/** What an instance keeps over restarts. Held by one process at a time; disposing lets go of it. */
export interface InstanceState extends Disposable {
  readonly folder: string
  /** What JetStream keeps. */
  readonly natsStore: string
  /**
   * The key that credentials in PostgreSQL are sealed with, made at the first start, readable by this user only. Absent
   * where none is needed: with SQLite the router finds or makes one beside the database, in memory nothing is kept.
   */
  readonly masterKeyFile: string | undefined
  /** The SQLite file where it is not the configured one. */
  readonly database: string | undefined
}

/** Where Spectrum 2 keeps data by default: only root may make folders there. */
const originalFolder = '/var/lib/spectrum2/'

/**
 * Prepares the folder of an instance: where the configured SQLite database lies. Where that is below Spectrum 2's own
 * folder, or the database is no file, and an ordinary user may not write there, it is
 * `~/.local/state/spectrum-cloud/<jid>`.
 *
 * @throws StartError when the folder cannot be written, or another process uses it
 */
export async function openState(config: Config): Promise<InstanceState> {
  const { type, database } = config.database
  const { jid } = config.service
  const configured = type === 'sqlite3' ? dirname(database) : join(originalFolder, jid)
  const isReplaceable = `${configured}/`.startsWith(originalFolder)
  const problem = makeWritable(configured)
  if (problem !== undefined && !isReplaceable)
    throw new StartError(
      `The folder ${configured} cannot be written (${problem}): please choose another place with --database.database=FILE.`,
    )
  const folder = problem === undefined ? configured : join(userStateDirectory(), jid)
  const fallback = problem === undefined ? undefined : makeWritable(folder)
  if (fallback !== undefined)
    throw new StartError(
      `Neither ${configured} (${problem}) nor ${folder} (${fallback}) can be written: please choose a place with --database.database=FILE.`,
    )
  const lock = await takeFolder(folder, jid)
  return {
    folder,
    natsStore: natsStore(folder, jid, type === 'sqlite3' ? basename(database) : undefined),
    masterKeyFile: type === 'pqxx' && config.security.masterKey === undefined ? masterKey(folder, jid) : undefined,
    database: type === 'sqlite3' && folder !== configured ? join(folder, 'database.sql') : undefined,
    [Symbol.dispose]: () => rmSync(lock, { force: true }),
  }
}

/** Makes a folder unless it exists; undefined when it can be written, else why not. */
function makeWritable(folder: string): string | undefined {
  try {
    makeFolders(folder)
    accessSync(folder, constants.W_OK | constants.X_OK)
    return undefined
  } catch (error) {
    return (error as NodeJS.ErrnoException).code ?? 'unknown error'
  }
}

/** Level by level: Node's own recursion never ends where a file system refuses new folders with ENOENT, as /proc does. */
function makeFolders(folder: string): void {
  if (existsSync(folder)) return
  makeFolders(dirname(folder))
  mkdirSync(folder, { mode: 0o700 })
}

/** Two starts on one folder would corrupt what NATS keeps there. */
async function takeFolder(folder: string, jid: string): Promise<string> {
  const lock = join(folder, `${jid}.pid`)
  while (!(await takeLock(lock))) {
    if (!existsSync(lock)) continue
    const owner = Number(readFileSync(lock, 'utf8'))
    // In a container every start may have the same process id; no number at all was left by a machine that lost its power.
    if (owner === process.pid || !(owner > 0)) rmSync(lock, { force: true })
    else if (isAlive(owner))
      throw new StartError(`Another gateway for ${jid} (process ${owner}) already uses ${folder}.`)
  }
  return lock
}

/**
 * Each instance has a store of its own: two nats-servers on one destroy it. A folder `nats` of earlier releases becomes
 * this instance's where nobody else can have written into it.
 */
function natsStore(folder: string, jid: string, database: string | undefined): string {
  const store = join(folder, `${jid}.nats`)
  const earlier = join(folder, 'nats')
  if (existsSync(store) || !existsSync(earlier)) return store
  const own = new Set([`${jid}.pid`, database])
  const others = readdirSync(folder).filter(name => /\.(pid|sql|sqlite3?|db|nats)$/.test(name) && !own.has(name))
  if (others.length === 0) renameSync(earlier, store)
  else say(`${earlier} is left alone: it may be of another gateway (${others.join(', ')} lies beside it)`)
  return store
}

/** One that lies there already stays in use: what is stored was sealed with it. */
function masterKey(folder: string, jid: string): string {
  const earlier = join(folder, 'master.key')
  if (existsSync(earlier)) return earlier
  const file = join(folder, `${jid}.master.key`)
  try {
    writeFileSync(file, `${randomBytes(32).toString('base64')}\n`, { flag: 'wx', mode: 0o600 })
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error
  }
  return file
}
