import { randomUUID } from 'node:crypto'
import type { Client } from '@libsql/client'
import type { Logger } from '@spectrum/network'
import { type Migration, pendingMigrations, readMigrations } from './migrations.ts'

const prismaTable = `CREATE TABLE IF NOT EXISTS "_prisma_migrations" (
  "id" TEXT PRIMARY KEY NOT NULL,
  "checksum" TEXT NOT NULL,
  "finished_at" DATETIME,
  "migration_name" TEXT NOT NULL,
  "logs" TEXT,
  "rolled_back_at" DATETIME,
  "started_at" DATETIME NOT NULL DEFAULT current_timestamp,
  "applied_steps_count" INTEGER UNSIGNED NOT NULL DEFAULT 0
)`

/** Applies what is missing, and logs it unless there is no log to tell. The caller holds the database's lock. */
export async function migrateSqlite(client: Client, log?: Logger): Promise<void> {
  await client.execute(prismaTable)
  const { rows } = await client.execute(
    'SELECT migration_name, checksum, finished_at FROM "_prisma_migrations" WHERE rolled_back_at IS NULL',
  )
  const applied = rows.map(row => ({
    name: String(row.migration_name),
    checksum: String(row.checksum),
    isFinished: row.finished_at !== null,
  }))
  for (const migration of pendingMigrations(await readMigrations('sqlite'), applied)) {
    await apply(client, migration)
    log?.info({ migration: migration.name }, 'the database was migrated')
  }
}

async function apply(client: Client, { name, sql, checksum }: Migration): Promise<void> {
  // Prisma's command reads the time in milliseconds since the epoch. Nothing here can need quoting: a folder's name of
  // ours, hexadecimal digits, a UUID.
  const record = `INSERT INTO "_prisma_migrations" (id, checksum, migration_name, started_at, finished_at, applied_steps_count)
    VALUES ('${randomUUID()}', '${checksum}', '${name}', ${Date.now()}, ${Date.now()}, 1);`
  try {
    await client.executeMultiple(`BEGIN IMMEDIATE;\n${sql}\n${record}\nCOMMIT;`)
  } catch (error) {
    await client.executeMultiple('ROLLBACK;').catch((cause: unknown) => {
      throw new AggregateError([error, cause], `migration ${name} failed and could not be rolled back`)
    })
    throw error
  }
}
