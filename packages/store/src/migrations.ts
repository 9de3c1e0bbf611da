import { createHash } from 'node:crypto'
import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { StoreRefusedError } from './store-error.ts'

/** One step of the schema, in the layout of Prisma's own command. */
export interface Migration {
  readonly name: string
  readonly sql: string
  /** SHA-256 of the file, as Prisma records it. */
  readonly checksum: string
}

/** A row of Prisma's table, as far as it decides what to do. */
export interface AppliedMigration {
  readonly name: string
  readonly checksum: string
  readonly isFinished: boolean
}

/** All migrations of a provider, in order. */
export async function readMigrations(provider: 'postgresql' | 'sqlite'): Promise<Migration[]> {
  const folder = join(import.meta.dirname, '../prisma/migrations', provider)
  const entries = await readdir(folder, { withFileTypes: true })
  const names = entries.filter(entry => entry.isDirectory()).map(entry => entry.name)
  return Promise.all(
    names.sort().map(async name => {
      const sql = await readFile(join(folder, name, 'migration.sql'), 'utf8')
      return { name, sql, checksum: createHash('sha256').update(sql).digest('hex') }
    }),
  )
}

/**
 * Those still to be applied. Applied ones that we do not know are of a newer release: migrations are compatible with
 * the release before, so that is fine while an upgrade rolls.
 *
 * @throws StoreRefusedError when one was applied in another form or failed half-way
 */
export function pendingMigrations(known: readonly Migration[], applied: readonly AppliedMigration[]): Migration[] {
  const byName = new Map(applied.map(migration => [migration.name, migration]))
  return known.filter(({ name, checksum }) => {
    const row = byName.get(name)
    if (!row) return true
    if (!row.isFinished)
      throw new StoreRefusedError(`The database's migration ${name} has failed half-way; see _prisma_migrations.`)
    if (row.checksum !== checksum)
      throw new StoreRefusedError(`The database's migration ${name} is not the one of this release.`)
    return false
  })
}
