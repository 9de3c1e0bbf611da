import { DatabaseSync } from 'node:sqlite'
import type { Stack } from '@spectrum/stack'

/** Every row of every table of the gateway's database that has this text in some column, as `table: row`. */
export async function rowsWith(stack: Stack, text: string): Promise<string[]> {
  const rows = stack.postgres ? await postgresRows(stack) : sqliteRows(stack.database)
  return rows.filter(row => row.includes(text))
}

async function postgresRows({ postgres, database }: Stack): Promise<string[]> {
  if (postgres === undefined) return []
  const tables = await postgres.query(
    database,
    `select quote_ident(schemaname) || '.' || quote_ident(tablename) from pg_tables
     where schemaname not in ('pg_catalog', 'information_schema')`,
  )
  const rows: string[] = []
  for (const table of tables.split('\n').filter(Boolean)) {
    const found = await postgres.query(database, `select row_to_json(t) from ${table} t`)
    for (const row of found.split('\n').filter(Boolean)) rows.push(`${table}: ${row}`)
  }
  return rows
}

function sqliteRows(file: string): string[] {
  using database = openReadOnly(file)
  const tables = database.all(`select name from sqlite_master where type = 'table'`).map(({ name }) => String(name))
  return tables.flatMap(table =>
    database.all(`select * from "${table}"`).map(row => `${table}: ${JSON.stringify(row)}`),
  )
}

function openReadOnly(file: string) {
  const database = new DatabaseSync(file, { readOnly: true })
  return {
    all: (sql: string): Record<string, unknown>[] => database.prepare(sql).all() as Record<string, unknown>[],
    [Symbol.dispose]: () => database.close(),
  }
}
