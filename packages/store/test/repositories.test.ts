import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { openStore, StoreRefusedError, UnsealError, UsernameTakenError } from '../src/index.ts'
import { freshStore, type Place, places } from './stores.ts'

const romeo = 'romeo@montague.example'
const juliet = 'juliet@capulet.example'
const bytes = (text: string) => Buffer.from(text)

for (const [kind, start] of Object.entries(places)) {
  describe(`repositories on ${kind}`, () => {
    let place: Place
    before(async () => {
      place = await start()
    })
    after(() => place[Symbol.asyncDispose]())

    test('an account is created, found, replaced and opened', async () => {
      await using store = await freshStore(place)
      assert.equal(await store.accounts.find(romeo), undefined)
      assert.equal(await store.accounts.open(romeo), undefined)
      const first = { username: 'romeo_', secret: bytes('wherefore'), isExclusive: false }
      assert.equal(await store.accounts.save(romeo, first), 'created')
      const second = { username: 'montague', secret: bytes('art thou'), isExclusive: false, language: 'it' }
      assert.equal(await store.accounts.save(romeo, second), 'replaced')
      const opened = await store.accounts.open(romeo)
      assert.equal(opened?.secret.toString(), 'art thou')
      assert.equal(opened.account.username, 'montague')
      assert.equal(opened.account.language, 'it')
      assert.ok(opened.account.createdAt <= opened.account.updatedAt)
      assert.ok(await store.accounts.saveSecret(romeo, bytes('renewed')))
      assert.equal((await store.accounts.open(romeo))?.secret.toString(), 'renewed')
      assert.equal(await store.accounts.saveSecret(juliet, bytes('x')), false)
    })

    test('an exclusive username belongs to one user', async () => {
      await using store = await freshStore(place)
      const account = { username: 'nick', secret: bytes(''), isExclusive: true }
      const results = await Promise.allSettled(
        [romeo, juliet, 'tybalt@capulet.example'].map(user => store.accounts.save(user, account)),
      )
      assert.equal(results.filter(result => result.status === 'fulfilled').length, 1)
      for (const result of results)
        if (result.status === 'rejected') assert.ok(result.reason instanceof UsernameTakenError)
      const [owner] = await store.accounts.page(10)
      assert.ok(owner)
      assert.equal(await store.accounts.save(owner.user, account), 'replaced')
      await store.accounts.remove(owner.user)
      assert.equal(await store.accounts.save('nurse@capulet.example', account), 'created')
    })

    test('an exclusive username belongs to one user in whatever case it is written', async () => {
      await using store = await freshStore(place)
      const save = (user: string, username: string) =>
        store.accounts.save(user, { username, secret: bytes(''), isExclusive: true })
      assert.equal(await save(romeo, 'Romeo_'), 'created')
      await assert.rejects(save(juliet, 'ROMEO_'), UsernameTakenError)
      assert.equal((await store.accounts.find(romeo))?.username, 'Romeo_')
      assert.equal(await save(romeo, 'romeo_'), 'replaced')
    })

    test('claims of before names were compared without case are brought up to date', async () => {
      const options = await place.fresh('irc.example.org')
      const nicks: Record<string, string> = { a: 'ROMEO', b: 'romeo', c: 'Romeo', d: 'Juliet', e: 'tybalt' }
      {
        await using store = await openStore(options)
        for (const [user, username] of Object.entries(nicks))
          await store.accounts.save(`${user}@example.org`, { username, secret: bytes(''), isExclusive: false })
      }
      await execute(options, 'UPDATE accounts SET claim = username')
      await execute(options, `DELETE FROM _prisma_migrations WHERE migration_name LIKE '%claims_in_lower_case'`)
      await using store = await openStore(options)
      const take = (username: string) => store.accounts.save(romeo, { username, secret: bytes(''), isExclusive: true })
      for (const username of ['rOMEO', 'JULIET', 'Tybalt']) await assert.rejects(take(username), UsernameTakenError)
      await store.accounts.remove('a@example.org')
      assert.equal(await take('Romeo'), 'created')
      assert.equal((await store.accounts.find('b@example.org'))?.username, 'romeo')
    })

    test('a user who registers many times at once has one account', async () => {
      await using store = await freshStore(place)
      const account = { username: 'nick', secret: bytes('x'), isExclusive: true }
      const results = await Promise.all(Array.from({ length: 10 }, () => store.accounts.save(romeo, account)))
      assert.equal(results.filter(result => result === 'created').length, 1)
      assert.equal(await store.accounts.count(), 1)
    })

    test('contacts and settings are stored with the account and go with it', async () => {
      await using store = await freshStore(place)
      const mercutio = { name: 'mercutio', alias: 'Mercutio "Queen Mab"', groups: ['Friends', 'à Vérone'] }
      assert.equal(await store.contacts.save(romeo, [mercutio]), false)
      assert.equal(await store.settings.set(romeo, 'stay_connected', '1'), false)
      await store.accounts.save(romeo, { username: 'r', secret: bytes('p'), isExclusive: false })
      assert.ok(await store.contacts.save(romeo, [mercutio, { name: 'benvolio', alias: '', groups: [] }]))
      assert.ok(await store.contacts.save(romeo, [{ ...mercutio, alias: 'M' }], ['benvolio', 'nobody']))
      assert.deepEqual(await store.contacts.list(romeo), [{ ...mercutio, alias: 'M' }])
      assert.ok(await store.settings.set(romeo, 'stay_connected', '1'))
      assert.ok(await store.settings.set(romeo, 'stay_connected', '0'))
      assert.ok(await store.settings.set(romeo, 'send_headlines', '1'))
      await store.settings.remove(romeo, 'send_headlines')
      assert.deepEqual(await store.settings.all(romeo), { stay_connected: '0' })
      assert.deepEqual(await store.accounts.remove(romeo), { wasRegistered: true, contacts: ['mercutio'] })
      assert.deepEqual(await store.accounts.remove(romeo), { wasRegistered: false, contacts: [] })
      assert.deepEqual(await store.contacts.list(romeo), [])
      assert.deepEqual(await store.settings.all(romeo), {})
    })

    test('accounts are listed by pages', async () => {
      await using store = await freshStore(place)
      const users = Array.from({ length: 25 }, (_, index) => `user${String(index).padStart(2, '0')}@example.org`)
      for (const user of users)
        await store.accounts.save(user, { username: user, secret: bytes('x'), isExclusive: false })
      const found: string[] = []
      for (let page = await store.accounts.page(10); page.length > 0; ) {
        found.push(...page.map(account => account.user))
        page = await store.accounts.page(10, found.at(-1))
      }
      assert.deepEqual(found, users)
    })

    test('instances in one database do not see each other', async () => {
      const options = await place.fresh('one.example.org')
      // SQLite is opened by one at a time, so the second looks after the first has closed.
      {
        await using store = await openStore(options)
        await store.accounts.save(romeo, { username: 'r', secret: bytes('x'), isExclusive: true })
      }
      await using other = await openStore({ ...options, instance: 'two.example.org' })
      assert.equal(await other.accounts.count(), 0)
      assert.equal(
        await other.accounts.save(juliet, { username: 'r', secret: bytes('y'), isExclusive: true }),
        'created',
      )
    })

    test('the instance key is made once', async () => {
      await using store = await freshStore(place)
      let made = 0
      const create = () => ({ publicKey: Buffer.alloc(32, ++made), privateKey: Buffer.alloc(32, made) })
      const pairs = await Promise.all([1, 2, 3, 4].map(() => store.instanceKeys.findOrCreate(create)))
      assert.equal(new Set(pairs.map(pair => Buffer.from(pair.publicKey).toString('hex'))).size, 1)
      assert.equal(new Set(pairs.map(pair => Buffer.from(pair.privateKey).toString('hex'))).size, 1)
    })

    test('a wrong master key is refused at the start', async () => {
      const options = await place.fresh('irc.example.org')
      {
        await using store = await openStore(options)
        await store.instanceKeys.findOrCreate(() => ({ publicKey: Buffer.alloc(32), privateKey: Buffer.alloc(32, 1) }))
        await store.accounts.save(romeo, { username: 'r', secret: bytes('x'), isExclusive: false })
      }
      await assert.rejects(openStore({ ...options, masterKey: Buffer.alloc(32, 7) }), StoreRefusedError)
      // Another instance has no key yet: what it reads of rows moved to it does not open.
      await using store = await openStore(options)
      assert.equal((await store.accounts.open(romeo))?.secret.toString(), 'x')
    })

    test('a secret of another user does not open', async () => {
      const options = await place.fresh('irc.example.org')
      await using store = await openStore(options)
      await store.accounts.save(romeo, { username: 'r', secret: bytes('x'), isExclusive: false })
      await store.accounts.save(juliet, { username: 'j', secret: bytes('y'), isExclusive: false })
      await copySecret(options, romeo, juliet)
      await assert.rejects(store.accounts.open(juliet), UnsealError)
      assert.equal((await store.accounts.open(romeo))?.secret.toString(), 'x')
    })
  })
}

/** What somebody who can write to the database might do. */
async function copySecret(options: Awaited<ReturnType<Place['fresh']>>, from: string, to: string): Promise<void> {
  const sql = `UPDATE accounts SET secret = other.secret, data_key = other.data_key FROM accounts AS other
    WHERE accounts."user" = '${to}' AND other."user" = '${from}'`
  await execute(options, sql)
}

async function execute(options: Awaited<ReturnType<Place['fresh']>>, sql: string): Promise<void> {
  if (options.database.type === 'sqlite') {
    const { createClient } = await import('@libsql/client')
    const client = createClient({ url: `file:${options.database.file}` })
    await client.execute(sql)
    client.close()
  } else if (options.database.type === 'postgresql' && 'connectionString' in options.database.address) {
    const { default: pg } = await import('pg')
    const client = new pg.Client(options.database.address)
    await client.connect()
    await client.query(sql)
    await client.end()
  }
}
