import { PrismaPg } from '@prisma/adapter-pg'
import type { Logger } from '@spectrum/network'
import { type Database, requestTimeoutMs } from './database.ts'
import { migratePostgresql } from './migrate-postgresql.ts'

/** Where a PostgreSQL database is: a connection string, or its parts. */
export type PostgresqlAddress =
  | { readonly connectionString: string }
  | {
      readonly host: string
      readonly port: number
      readonly database: string
      readonly user: string
      readonly password: string
    }

/** Brings the schema up to date and opens a pool of at most `poolSize` connections (default 10). */
export async function openPostgresql(address: PostgresqlAddress, log: Logger, poolSize = 10): Promise<Database> {
  const connection = {
    ...address,
    connectionTimeoutMillis: 3_000,
    keepAlive: true,
    application_name: 'spectrum-router',
  }
  await migratePostgresql(connection, log)
  const { PrismaClient } = await import('./gen/postgresql/client.ts')
  const pool = { ...connection, max: poolSize, query_timeout: requestTimeoutMs, statement_timeout: requestTimeoutMs }
  const adapter = new PrismaPg(pool, {
    onPoolError: error => log.warn({ err: error }, 'an idle database connection was lost'),
    onConnectionError: error => log.warn({ err: error }, 'a database connection failed'),
  })
  const client = new PrismaClient({ adapter, errorFormat: 'minimal' })
  return { client, [Symbol.asyncDispose]: () => client.$disconnect() }
}
