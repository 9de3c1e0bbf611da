import { resolve } from 'node:path'
import { createClient, LibsqlError } from '@libsql/client'
import { StoreRefusedError } from './store-error.ts'

/**
 * Takes `<file>.lock` for this process until disposed. The lock is SQLite's own on a database beside the real one: the
 * kernel lifts it when the process ends in whatever way, and no process id can be mistaken for another.
 *
 * @throws StoreRefusedError when somebody else has it
 */
export async function lockSqlite(file: string): Promise<Disposable> {
  const client = createClient({ url: `file:${resolve(file)}.lock` })
  try {
    const held = await client.transaction('write')
    return {
      [Symbol.dispose]() {
        held.close()
        client.close()
      },
    }
  } catch (error) {
    client.close()
    if (error instanceof LibsqlError && error.code.startsWith('SQLITE_BUSY')) {
      throw new StoreRefusedError(`Another router uses the SQLite database ${file}; use PostgreSQL to run several.`)
    }
    throw error
  }
}
