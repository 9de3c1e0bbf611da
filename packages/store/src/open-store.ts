import { setTimeout as delay } from 'node:timers/promises'
import type { Logger } from '@spectrum/network'
import { Accounts } from './accounts.ts'
import { chooseKey } from './choose-key.ts'
import { Contacts } from './contacts.ts'
import { type Database, inTime } from './database.ts'
import { InstanceKeys } from './instance-keys.ts'
import { LiveSessions } from './live-sessions.ts'
import { openPostgresql, type PostgresqlAddress } from './postgresql.ts'
import { Settings } from './settings.ts'
import { openSqlite } from './sqlite.ts'
import { StoreRefusedError } from './store-error.ts'

/** Which database, for which instance, under which key. */
export interface StoreOptions {
  /** Keeps the rows of instances apart: prefix and JID. */
  readonly instance: string
  readonly database:
    | { readonly type: 'postgresql'; readonly address: PostgresqlAddress; readonly poolSize?: number }
    | {
        readonly type: 'sqlite'
        readonly file: string
        /** Where a master key is made when there is none beside the file; default `<file>.key`. */
        readonly keyFile?: string
      }
    | { readonly type: 'memory' }
  /** 32 bytes. Left out: with SQLite one is found or made beside the file; in memory, one for this process. */
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

/**
 * Opens the database, migrates it and checks the master key. While a PostgreSQL is away it tries again for as long as
 * it takes, saying so in the log, until `signal` aborts.
 *
 * @throws StoreRefusedError when trying again cannot help: another router has the SQLite file, the master key is missing
 *   or not the one that the rows were sealed with, the schema is not ours
 */
export async function openStore(options: StoreOptions, signal?: AbortSignal): Promise<Store> {
  if (options.database.type === 'postgresql' && !options.masterKey)
    throw new StoreRefusedError('PostgreSQL needs a master key: set SPECTRUM_MASTER_KEY or SPECTRUM_MASTER_KEY_FILE.')
  for (let pauseMs = 250; ; pauseMs = Math.min(pauseMs * 2, 5_000)) {
    try {
      return await tryToOpen(options)
    } catch (error) {
      signal?.throwIfAborted()
      // Only a PostgreSQL can be away and come back; a file that does not open now will not open later.
      if (error instanceof StoreRefusedError || options.database.type !== 'postgresql') throw error
      options.log.warn({ err: error, retryMs: pauseMs }, 'the database is not available; trying again')
    }
    await delay(pauseMs, undefined, signal ? { signal } : {})
  }
}

async function tryToOpen(options: StoreOptions): Promise<Store> {
  const { instance, database: choice, log } = options
  await using parts = new AsyncDisposableStack()
  const database = parts.use(await openDatabase(choice, log))
  const masterKey = await chooseKey(options, database)
  const instanceKeys = new InstanceKeys(database, masterKey, instance)
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
