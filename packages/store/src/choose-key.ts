import { randomBytes } from 'node:crypto'
import { dirname, join } from 'node:path'
import type { Database } from './database.ts'
import { InstanceKeys } from './instance-keys.ts'
import { MasterKey, makeMasterKey, readMasterKey } from './master-key.ts'
import type { StoreOptions } from './open-store.ts'
import { StoreRefusedError, UnsealError } from './store-error.ts'

/** A database in memory is gone with the process, and so may its key be. */
const processKey = new MasterKey(randomBytes(32))

/**
 * The master key that opens what `database` holds of the instance: the given one, or one of the files beside a SQLite
 * database. Makes one only where nothing was sealed yet: a new key beside an old database would be of no use, and taken
 * for the right one.
 *
 * @throws StoreRefusedError when no key at hand opens the database; the message names the files
 */
export async function chooseKey(options: StoreOptions, database: Database): Promise<MasterKey> {
  const { instance, masterKey, database: choice, log } = options
  const opens = (key: MasterKey) => unseals(new InstanceKeys(database, key, instance))
  const files = choice.type === 'sqlite' ? keyFiles(choice) : []
  if (masterKey) {
    const given = new MasterKey(masterKey)
    if (await opens(given)) return given
    throw new StoreRefusedError(
      `The master key is not the one that the database was sealed with. ${await whereElse(files, opens)}`,
    )
  }
  if (choice.type === 'memory') return processKey
  const wrong: string[] = []
  for (const file of files) {
    const key = await readMasterKey(file)
    if (key && (await opens(key))) {
      if (file !== files[0]) log.info({ file }, 'the master key is in this file: back it up with the database')
      return key
    }
    if (key) wrong.push(file)
  }
  const [first = ''] = files
  // Nothing opens with a key that was made up just now, unless there is nothing to open.
  if (await opens(new MasterKey(randomBytes(32)))) {
    log.info({ file: first }, 'a master key was made: back it up with the database')
    return makeMasterKey(first)
  }
  const where =
    wrong.length > 0 ? `is not in ${wrong.join(' or ')}` : `is gone; it was looked for in ${files.join(', ')}`
  throw new StoreRefusedError(
    `The master key that the database was sealed with ${where}. Put it back, or name its file with SPECTRUM_MASTER_KEY_FILE.`,
  )
}

/** Where a key may lie beside the database: where one is made, and where other releases and other ways to start made it. */
function keyFiles({ file, keyFile }: Extract<StoreOptions['database'], { type: 'sqlite' }>): string[] {
  const folder = dirname(file)
  return [...new Set([keyFile ?? `${file}.key`, `${file}.key`, join(folder, 'master.key')])]
}

async function unseals(keys: InstanceKeys): Promise<boolean> {
  try {
    await keys.find()
    return true
  } catch (error) {
    if (error instanceof UnsealError) return false
    throw error
  }
}

async function whereElse(files: readonly string[], opens: (key: MasterKey) => Promise<boolean>): Promise<string> {
  for (const file of files) {
    const key = await readMasterKey(file).catch(() => undefined)
    if (key && (await opens(key)))
      return `That one is in ${file}: name it with SPECTRUM_MASTER_KEY_FILE, or set no master key at all.`
  }
  return 'Set SPECTRUM_MASTER_KEY or SPECTRUM_MASTER_KEY_FILE to that one.'
}
