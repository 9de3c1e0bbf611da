import { randomBytes } from 'node:crypto'
import { setTimeout as delay } from 'node:timers/promises'
import type { Logger } from '@spectrum/network'
import { Accounts } from './accounts.ts'
import { Contacts } from './contacts.ts'
import { type Database, inTime } from './database.ts'
import { InstanceKeys } from './instance-keys.ts'
import { LiveSessions } from './live-sessions.ts'
import { MasterKey, masterKeyBeside } from './master-key.ts'
import { openPostgresql, type PostgresqlAddress } from './postgresql.ts'
import { Settings } from './settings.ts'
import { openSqlite } from './sqlite.ts'
import { StoreRefusedError, UnsealError } from './store-error.ts'

/** Which database, for which instance, under which key. */
export interface StoreOptions {
  /** Keeps the rows of instances apart: prefix and JID. */
  readonly instance: string
  readonly database:
    | { readonly type: 'postgresql'; readonly address: PostgresqlAddress; readonly poolSize?: number }
    | { readonly type: 'sqlite'; readonly file: string }
    | { readonly type: 'memory' }
  /** 32 bytes. Left out: with SQLite one is made beside the file; in memory, one for this process. */
  readonly masterKey?: Uint8Array
  readonly log: Logger
}

/** The open store of one instance: a repository for each topic. */
export interface Store extends AsyncDisposable {
  readonly accounts: Accounts
  readonly contacts: Contacts
  readonly settings: Settings
  readonly instanceKeys: InstanceKeys
  readonly liveSessions: LiveSessions
  /** Asks the database anything: rejects StoreUnavailableError when it does not answer in time. */
  ping(): Promise<void>
}

const processKey = new MasterKey(randomBytes(32))

/**
 * Opens the database, migrates it and checks the master key. While a PostgreSQL is away it tries again for as long as
 * it takes, saying so in the log, until `signal` aborts.
 *
 * @throws StoreRefusedError when trying again cannot help: another router has the SQLite file, the master key is missing
 *   or not the one that the rows were sealed with, the schema is not ours
 */
export async function openStore(options: StoreOptions, signal?: AbortSignal): Promise<Store> {
  const masterKey = await masterKeyOf(options)
  for (let pauseMs = 250; ; pauseMs = Math.min(pauseMs * 2, 5_000)) {
    try {
      return await tryToOpen(options, masterKey)
    } catch (error) {
      signal?.throwIfAborted()
      // Only a PostgreSQL can be away and come back; a file that does not open now will not open later.
      if (error instanceof StoreRefusedError || options.database.type !== 'postgresql') throw error
      options.log.warn({ err: error, retryMs: pauseMs }, 'the database is not available; trying again')
    }
    await delay(pauseMs, undefined, signal ? { signal } : {})
  }
}

async function tryToOpen({ instance, database: choice, log }: StoreOptions, masterKey: MasterKey): Promise<Store> {
  await using parts = new AsyncDisposableStack()
  const database = parts.use(await openDatabase(choice, log))
  const instanceKeys = new InstanceKeys(database, masterKey, instance)
  try {
    await instanceKeys.find()
  } catch (error) {
    if (!(error instanceof UnsealError)) throw error
    throw new StoreRefusedError('The master key is not the one that the database was sealed with.')
  }
  const opened = parts.move()
  return {
    accounts: new Accounts(database, masterKey, instance),
    contacts: new Contacts(database, instance),
    settings: new Settings(database, instance),
    instanceKeys,
    liveSessions: new LiveSessions(database, instance),
    ping: async () => {
      await inTime(database.client.$queryRaw`SELECT 1`)
    },
    [Symbol.asyncDispose]: () => opened.disposeAsync(),
  }
}

function openDatabase(choice: StoreOptions['database'], log: Logger): Promise<Database> {
  if (choice.type === 'postgresql') return openPostgresql(choice.address, log, choice.poolSize)
  return openSqlite(choice.type === 'sqlite' ? choice.file : undefined, log)
}

async function masterKeyOf({ masterKey, database }: StoreOptions): Promise<MasterKey> {
  if (masterKey) return new MasterKey(masterKey)
  if (database.type === 'memory') return processKey
  if (database.type === 'sqlite') return masterKeyBeside(database.file)
  throw new StoreRefusedError('PostgreSQL needs a master key: set SPECTRUM_MASTER_KEY or SPECTRUM_MASTER_KEY_FILE.')
}
