import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { readdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, test } from 'node:test'
import { promisify } from 'node:util'
import { startPostgres, TemporaryFolder, waitUntil } from '@spectrum/stack'
import { openStore, StoreRefusedError, StoreUnavailableError } from '../src/index.ts'
import { listLog } from './stores.ts'

const run = promisify(execFile)
const instance = 'irc.example.org'
const account = { username: 'r', secret: Buffer.from('a secret to look for'), isExclusive: false }

/** Opens a store in a process of its own, counts the accounts and closes. */
async function openElsewhere(options: object): Promise<{ stdout: string }> {
  const program = `
    import { openStore } from ${JSON.stringify(join(import.meta.dirname, '../src/index.ts'))}
    const quiet = () => {}
    const options = JSON.parse(process.argv[1])
    if (options.masterKey) options.masterKey = Buffer.from(options.masterKey, 'hex')
    try {
      const store = await openStore({ ...options, log: { debug: quiet, info: quiet, warn: console.log, error: quiet } })
      console.log('accounts', await store.accounts.count())
      await store[Symbol.asyncDispose]()
    } catch (error) { console.log(error.name, error.message) }`
  return run(process.execPath, ['--input-type=module', '-e', program, JSON.stringify(options)], { timeout: 60_000 })
}

describe('opening on SQLite', () => {
  test('a second process is refused with one sentence while the first lives', async () => {
    await using folder = await TemporaryFolder.create('store')
    const database = { type: 'sqlite', file: join(folder.path, 'some/where/database.sql') } as const
    const store = await openStore({ instance, database, log: listLog() })
    await store.accounts.save('romeo@example.org', account)
    const refused = await openElsewhere({ instance, database })
    assert.match(refused.stdout, /^StoreRefusedError Another router uses the SQLite database .*\n$/)
    await assert.rejects(openStore({ instance, database, log: listLog() }), StoreRefusedError)
    await store[Symbol.asyncDispose]()
    assert.match((await openElsewhere({ instance, database })).stdout, /^accounts 1$/m)
  })

  test('makes a master key beside the database, for its owner only', async () => {
    await using folder = await TemporaryFolder.create('store')
    const file = join(folder.path, 'database.sql')
    const open = () => openStore({ instance, database: { type: 'sqlite', file }, log: listLog() })
    {
      await using store = await open()
      await store.accounts.save('romeo@example.org', account)
      for (const part of ['', '-wal', '.key']) assert.equal((await stat(`${file}${part}`)).mode & 0o777, 0o600)
      const raw = Buffer.concat([await readFile(file), await readFile(`${file}-wal`)])
      assert.ok(raw.includes('romeo@example.org'))
      assert.ok(!raw.includes(account.secret))
    }
    {
      await using store = await open()
      assert.deepEqual((await store.accounts.open('romeo@example.org'))?.secret, account.secret)
    }
    await writeFile(`${file}.key`, 'nonsense\n')
    await assert.rejects(open(), StoreRefusedError)
  })

  test('finds the key that opens the database, wherever earlier starts have put it', async () => {
    await using folder = await TemporaryFolder.create('store')
    const file = join(folder.path, 'database.sql')
    const keyFile = join(folder.path, `${instance}.master.key`)
    const log = listLog()
    const open = (masterKey?: Buffer) =>
      openStore({
        instance,
        database: { type: 'sqlite', file, keyFile },
        log,
        ...(masterKey && { masterKey }),
      })
    const keys = async () => (await readdir(folder.path)).filter(name => name.endsWith('key')).sort()
    const opened = async () => {
      await using store = await open()
      await store.instanceKeys.findOrCreate(() => ({ publicKey: Buffer.alloc(32), privateKey: Buffer.alloc(32) }))
    }
    await opened()
    assert.deepEqual(await keys(), [`${instance}.master.key`])
    assert.match(log.lines.join('\n'), new RegExp(`a master key was made: .*${keyFile}`))
    for (const name of ['database.sql.key', 'master.key', `${instance}.master.key`]) {
      const [now = ''] = await keys()
      await rename(join(folder.path, now), join(folder.path, name))
      await opened()
      assert.deepEqual(await keys(), [name], 'no second key is made')
      const isTold = log.lines.some(
        line => line.includes('the master key is in this file') && line.includes(`/${name}"`),
      )
      assert.equal(isTold, name !== `${instance}.master.key`, 'where it is not looked for first, it is said')
    }
    await writeFile(`${file}.key`, Buffer.alloc(32, 1).toString('base64'))
    await opened()
    await assert.rejects(open(Buffer.alloc(32, 1)), {
      name: 'StoreRefusedError',
      message: new RegExp(`not the one .* sealed with\\. That one is in ${keyFile}: .*SPECTRUM_MASTER_KEY_FILE`),
    })

    await rename(keyFile, join(folder.path, 'elsewhere'))
    await assert.rejects(open(), { message: new RegExp(`is not in ${file}\\.key\\. .*SPECTRUM_MASTER_KEY_FILE`) })
    await rm(`${file}.key`)
    await assert.rejects(open(), { message: new RegExp(`is gone; it was looked for in ${keyFile}, `) })
    assert.deepEqual(await keys(), [], 'no wrong key is left behind')
  })

  test('a file that cannot be made is named with its option', async () => {
    await using folder = await TemporaryFolder.create('store')
    await writeFile(join(folder.path, 'file'), '')
    const file = join(folder.path, 'file/database.sql')
    await assert.rejects(openStore({ instance, database: { type: 'sqlite', file }, log: listLog() }), {
      name: 'StoreRefusedError',
      message: /cannot be written \((ENOTDIR|EEXIST)\): choose another file with database\.database/,
    })
  })

  test('in memory: readers and writers at once', async () => {
    await using store = await openStore({ instance, database: { type: 'memory' }, log: listLog() })
    await store.accounts.save('romeo@example.org', account)
    const removals = Array.from({ length: 40 }, (_, index) => store.accounts.remove(`nobody${index}@example.org`))
    const reads = Array.from({ length: 40 }, () => store.accounts.open('romeo@example.org'))
    assert.ok((await Promise.all(reads)).every(found => found?.secret.equals(account.secret)))
    await Promise.all(removals)
  })
})

describe('opening on PostgreSQL', () => {
  test('many processes start at once: one migrates, all run', async () => {
    await using server = await startPostgres()
    const connectionString = await server.createDatabase()
    const options = {
      instance,
      database: { type: 'postgresql', address: { connectionString } },
      masterKey: Buffer.alloc(32, 1).toString('hex'),
    }
    const outputs = await Promise.all(Array.from({ length: 4 }, () => openElsewhere(options)))
    for (const { stdout } of outputs) assert.equal(stdout, 'accounts 0\n')
    const rows = await server.query(
      connectionString,
      'SELECT count(*), count(DISTINCT migration_name) FROM _prisma_migrations',
    )
    assert.match(rows, /^(\d+)\|\1$/)
  })

  test('an altered migration is refused, one of a newer release is not', async () => {
    await using server = await startPostgres()
    const connectionString = await server.createDatabase()
    const database = { type: 'postgresql', address: { connectionString } } as const
    const open = () => openStore({ instance, database, masterKey: Buffer.alloc(32, 1), log: listLog() })
    await (await open())[Symbol.asyncDispose]()
    await server.query(
      connectionString,
      `INSERT INTO _prisma_migrations (id, checksum, migration_name, finished_at) VALUES ('x', 'y', '99990101000000_new', now())`,
    )
    await (await open())[Symbol.asyncDispose]()
    await server.query(connectionString, `UPDATE _prisma_migrations SET checksum = 'z' WHERE id <> 'x'`)
    await assert.rejects(open(), StoreRefusedError)
  })

  test('needs a master key', async () => {
    const address = { connectionString: 'postgresql://x@127.0.0.1:1/x' }
    await assert.rejects(
      openStore({ instance, database: { type: 'postgresql', address }, log: listLog() }),
      StoreRefusedError,
    )
  })

  test('waits for a database that is away at the start, and stops waiting when told', async () => {
    await using server = await startPostgres()
    const connectionString = await server.createDatabase()
    const database = { type: 'postgresql', address: { connectionString } } as const
    await server.stop()
    const log = listLog()
    const opening = openStore({ instance, database, masterKey: Buffer.alloc(32, 1), log })
    await waitUntil(() => log.lines.some(line => line.startsWith('the database is not available')))
    await server.start()
    await using store = await opening
    await store.ping()
    assert.ok(!log.lines.join().includes(new URL(connectionString).password))

    await server.stop()
    const giveUp = new AbortController()
    const never = openStore({ instance, database, masterKey: Buffer.alloc(32, 1), log: listLog() }, giveUp.signal)
    giveUp.abort()
    await assert.rejects(never, { name: 'AbortError' })
    await server.start()
  })

  test('a database that goes fails requests in bounded time, and they work again when it is back', async () => {
    await using server = await startPostgres()
    const connectionString = await server.createDatabase()
    const database = { type: 'postgresql', address: { connectionString } } as const
    await using store = await openStore({ instance, database, masterKey: Buffer.alloc(32, 1), log: listLog() })
    await store.accounts.save('romeo@example.org', account)

    await server.kill('SIGKILL')
    await assert.rejects(store.accounts.find('romeo@example.org'), StoreUnavailableError)
    await server.start()
    const found = await waitUntil(() => store.accounts.find('romeo@example.org').catch(() => undefined), {
      deadlineMs: 30_000,
    })
    assert.equal(found.username, 'r')
  })
})
