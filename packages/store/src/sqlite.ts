import { mkdir, open } from 'node:fs/promises'
import { dirname, resolve } from 'node:path'
import { type Client, createClient } from '@libsql/client'
import { PrismaLibSql } from '@prisma/adapter-libsql'
import type { Logger } from '@spectrum/network'
import type { Database } from './database.ts'
import type { PrismaClient as CommonClient } from './gen/postgresql/client.ts'
import { migrateSqlite } from './migrate-sqlite.ts'
import { lockSqlite } from './sqlite-lock.ts'
import { StoreRefusedError } from './store-error.ts'

/** All stores in memory of one process are one database; it goes with the process. */
const memory = 'file::memory:?cache=shared'

/**
 * Opens the database in `file`, made when it is not there; left out: in memory. While it is open no other process can
 * open it: a second router is refused with {@link StoreRefusedError}.
 */
export async function openSqlite(file: string | undefined, log: Logger): Promise<Database> {
  await using parts = new AsyncDisposableStack()
  if (file !== undefined) {
    await makeFile(file)
    parts.use(await lockSqlite(file))
  }
  const url = file === undefined ? memory : `file:${resolve(file)}`
  // Stays open beside Prisma's connections: a database in memory lives as long as its last connection.
  const client = parts.adopt(createClient({ url, intMode: 'number' }), close)
  await client.execute(file === undefined ? 'SELECT 1' : 'PRAGMA journal_mode = WAL')
  // One in memory is always new.
  await migrateSqlite(client, file === undefined ? undefined : log)
  const { PrismaClient } = await import('./gen/sqlite/client.ts')
  const prisma = parts.adopt(new PrismaClient({ adapter: new PrismaLibSql({ url }), errorFormat: 'minimal' }), open =>
    open.$disconnect(),
  )
  const opened = parts.move()
  return {
    // The same models, and only what both databases can do is used.
    client: prisma as unknown as CommonClient,
    [Symbol.asyncDispose]: () => opened.disposeAsync(),
  }
}

function close(client: Client): void {
  client.close()
}

/** Made by us, so that nobody else may read it; SQLite gives its other files the same mode. */
async function makeFile(file: string): Promise<void> {
  try {
    await mkdir(dirname(resolve(file)), { recursive: true, mode: 0o700 })
    await (await open(file, 'a', 0o600)).close()
  } catch (error) {
    const reason = error instanceof Error && 'code' in error ? error.code : error
    throw new StoreRefusedError(
      `The SQLite database ${file} cannot be written (${reason}): choose another file with database.database. Where npm start may not write it, it keeps it in ~/.local/state/spectrum-cloud/<jid>/.`,
      { cause: error },
    )
  }
}
