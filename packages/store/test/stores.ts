import { randomBytes } from 'node:crypto'
import { join } from 'node:path'
import type { Logger } from '@spectrum/network'
import { type PostgresServer, startPostgres, TemporaryFolder } from '@spectrum/stack'
import { openStore, type Store, type StoreOptions } from '../src/index.ts'

/** Keeps what was logged, to look at when a test fails. */
export function listLog(lines: string[] = []): Logger & { lines: string[] } {
  const write = (fields: object, message: string) => void lines.push(`${message} ${JSON.stringify(fields)}`)
  return { lines, debug: write, info: write, warn: write, error: write }
}

/** A place for databases of one kind, real in each case. */
export interface Place extends AsyncDisposable {
  /** Options for a fresh database, with a master key. */
  fresh(instance: string): Promise<StoreOptions>
}

export const places: Record<'PostgreSQL' | 'SQLite', () => Promise<Place>> = {
  PostgreSQL: async () => {
    const server: PostgresServer = await startPostgres()
    return {
      fresh: async instance => ({
        instance,
        database: { type: 'postgresql', address: { connectionString: await server.createDatabase() } },
        masterKey: randomBytes(32),
        log: listLog(),
      }),
      [Symbol.asyncDispose]: () => server[Symbol.asyncDispose](),
    }
  },
  SQLite: async () => {
    const folder = await TemporaryFolder.create('store')
    let files = 0
    return {
      fresh: async instance => ({
        instance,
        database: { type: 'sqlite', file: join(folder.path, `database${++files}.sql`) },
        masterKey: randomBytes(32),
        log: listLog(),
      }),
      [Symbol.asyncDispose]: () => folder[Symbol.asyncDispose](),
    }
  },
}

/** A fresh open store. */
export async function freshStore(place: Place, instance = 'irc.example.org'): Promise<Store> {
  return openStore(await place.fresh(instance))
}
