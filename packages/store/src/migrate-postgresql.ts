import { randomUUID } from 'node:crypto'
import type { Logger } from '@spectrum/network'
import pg from 'pg'
import { type Migration, pendingMigrations, readMigrations } from './migrations.ts'

/** The advisory lock that Prisma's own command takes, so that it and we wait for each other. */
const advisoryLock = 72_707_369

const prismaTable = `CREATE TABLE IF NOT EXISTS "_prisma_migrations" (
  "id" VARCHAR(36) PRIMARY KEY NOT NULL,
  "checksum" VARCHAR(64) NOT NULL,
  "finished_at" TIMESTAMPTZ,
  "migration_name" VARCHAR(255) NOT NULL,
  "logs" TEXT,
  "rolled_back_at" TIMESTAMPTZ,
  "started_at" TIMESTAMPTZ NOT NULL DEFAULT now(),
  "applied_steps_count" INTEGER NOT NULL DEFAULT 0
)`

/** Applies what is missing. Several processes may start at once: one works, the others wait and find it done. */
export async function migratePostgresql(config: pg.ClientConfig, log: Logger): Promise<void> {
  const known = await readMigrations('postgresql')
  const client = new pg.Client({ ...config, query_timeout: 120_000, statement_timeout: 120_000 })
  client.on('error', error => log.warn({ err: error }, 'the connection for migrations was lost'))
  await client.connect()
  try {
    await client.query('SELECT pg_advisory_lock($1)', [advisoryLock])
    await client.query(prismaTable)
    for (const migration of pendingMigrations(known, await appliedOf(client))) {
      await apply(client, migration)
      log.info({ migration: migration.name }, 'the database was migrated')
    }
  } finally {
    // Ends the session, and the lock with it.
    await client.end()
  }
}

async function appliedOf(client: pg.Client) {
  const { rows } = await client.query<{ name: string; checksum: string; finished: boolean }>(
    `SELECT migration_name AS name, checksum, finished_at IS NOT NULL AS finished
     FROM "_prisma_migrations" WHERE rolled_back_at IS NULL`,
  )
  return rows.map(({ name, checksum, finished }) => ({ name, checksum, isFinished: finished }))
}

async function apply(client: pg.Client, { name, sql, checksum }: Migration): Promise<void> {
  await client.query('BEGIN')
  try {
    await client.query(sql)
    await client.query(
      `INSERT INTO "_prisma_migrations" (id, checksum, migration_name, finished_at, applied_steps_count)
       VALUES ($1, $2, $3, now(), 1)`,
      [randomUUID(), checksum, name],
    )
    await client.query('COMMIT')
  } catch (error) {
    await client.query('ROLLBACK')
    throw error
  }
}
