import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import {
  backendResource,
  commandLane,
  createSealingKeys,
  type Ownership,
  openSealed,
  placementKey,
  protoValue,
  sealTo,
} from '@spectrum/bus'
import { type Command, Credentials, commandCodec, Placement, Sealed, StopSession_Reason } from '@spectrum/messages'
import {
  type NatsServer,
  type PostgresServer,
  startNats,
  startPostgres,
  TemporaryFolder,
  waitUntil,
} from '@spectrum/stack'
import {
  failure,
  instance,
  type LocalRouter,
  metric,
  Neighbour,
  openReply,
  startLocalRouter,
  untilLeads,
} from './harness.ts'

const password = 'correct horse battery staple'
const tables = ['accounts', 'contacts', 'settings']
let users = 0
const someone = (domain = 'montague.example') => `romeo${++users}@${domain}`

/** A database of one kind: the router's options for it, and what it holds. */
interface Database extends AsyncDisposable {
  readonly options: string[]
  readonly env: Record<string, string>
  /** All rows that mention the text, of all tables. */
  rowsOf(text: string): Promise<string[]>
}

const databases: Record<string, () => Promise<Database>> = {
  SQLite: async () => {
    const folder = await TemporaryFolder.create('router')
    const file = join(folder.path, 'database.sql')
    return {
      options: ['--database.type=sqlite3', `--database.database=${file}`],
      env: {},
      async rowsOf(text) {
        const { DatabaseSync } = await import('node:sqlite')
        using database = new DatabaseSync(file, { readOnly: true })
        const rows = tables.flatMap(table => database.prepare(`SELECT * FROM "${table}"`).all())
        return rows.map(row => JSON.stringify(row)).filter(row => row.includes(text))
      },
      [Symbol.asyncDispose]: () => folder[Symbol.asyncDispose](),
    }
  },
  PostgreSQL: async () => {
    const server: PostgresServer = await startPostgres()
    const address = await server.createDatabase()
    return {
      options: ['--database.type=pqxx'],
      env: {
        SPECTRUM_DATABASE_CONNECTIONSTRING: address,
        SPECTRUM_MASTER_KEY: randomBytes(32).toString('base64'),
      },
      async rowsOf(text) {
        const rows: string[] = []
        for (const table of tables)
          rows.push(...(await server.query(address, `SELECT t::text FROM "${table}" t`)).split('\n'))
        return rows.filter(row => row.includes(text))
      },
      [Symbol.asyncDispose]: () => server[Symbol.asyncDispose](),
    }
  },
}

for (const [kind, start] of Object.entries(databases)) {
  describe(`registration on ${kind}`, () => {
    let nats: NatsServer
    let database: Database
    let router: LocalRouter
    let frontend: Neighbour
    let worker: Neighbour
    let backend: Ownership
    const commands: Command[] = []

    before(async () => {
      nats = await startNats()
      database = await start()
      router = await startLocalRouter(nats, database.options, database.env)
      frontend = await Neighbour.connect(nats, 'frontend')
      worker = await Neighbour.connect(nats, 'worker')
      await worker.publishManifest()
      await untilLeads(router)
      const ownership = await worker.bus.owners.acquire(backendResource(instance, 0))
      assert.ok(ownership)
      backend = ownership
      await worker.bus.consume(commandLane(instance, 0), commandCodec, backend, {
        onItem(delivery) {
          commands.push(delivery.item)
          delivery.finish()
        },
        onLost() {},
      })
    })
    after(async () => {
      for (const part of [worker, frontend, router, database, nats]) await part[Symbol.asyncDispose]()
    })

    const commandOf = (user: string, kind: string) =>
      waitUntil(() => commands.find(command => command.user === user && command.command?.$case === kind), {
        describe: () => JSON.stringify(commands.filter(command => command.user === user)),
      })

    async function fetch(user: string, change: Partial<Parameters<typeof worker.router.fetchCredentials>[0]> = {}) {
      const keys = createSealingKeys()
      const placement = await frontend.bus.table('placements', protoValue(Placement)).get(placementKey(instance, user))
      const sealed = await worker.router.fetchCredentials({
        user,
        backend: 0,
        epoch: backend.epoch,
        generation: placement?.value.generation ?? 1,
        process: worker.bus.processId,
        publicKey: Buffer.from(keys.publicKey),
        ...change,
      })
      return Credentials.decode(openReply(keys.privateKey, sealed))
    }

    test('a user registers, logs in, and the worker gets the credentials', async () => {
      const user = someone()
      assert.deepEqual(await frontend.router.getRegistration({ user }), { isRegistered: false, username: '' })
      assert.deepEqual(await frontend.register(user, 'romeo', password), { wasRegistered: false })
      assert.deepEqual(await frontend.router.getRegistration({ user }), { isRegistered: true, username: 'romeo' })
      await frontend.router.login({ user, nickHint: 'ignored' })
      const start = await commandOf(user, 'startSession')
      assert.deepEqual(start.command, {
        $case: 'startSession',
        value: { username: 'romeo', settings: {}, snapshot: undefined },
      })
      const credentials = await fetch(user)
      assert.equal(credentials.username, 'romeo')
      assert.ok(credentials.hasPassword && credentials.password === password)
      const [row] = await database.rowsOf(user)
      assert.ok(row?.includes('romeo') && !row.includes(password))
      assert.ok(router.log.lines.some(line => line.startsWith('registered') && line.includes(user)))
      assert.ok(!router.log.lines.join('\n').includes(password))
    })

    test('what is not acceptable is refused', async () => {
      const user = someone()
      await assert.rejects(frontend.register(user, '', password), failure('not-acceptable'))
      await assert.rejects(frontend.register(user, user, password), failure('not-acceptable'))
      await assert.rejects(frontend.register(user, 'romeo'), failure('not-acceptable'))
      await assert.rejects(frontend.register(user, 'romeo', ''), failure('not-acceptable'))
      await assert.rejects(frontend.register(user, 'romeo\r\nQUIT', password), failure('not-acceptable'))
      const { nonce, ciphertext } = sealTo(createSealingKeys().publicKey, Buffer.from(password))
      const foreign = Sealed.create({ nonce: Buffer.from(nonce), ciphertext: Buffer.from(ciphertext) })
      await assert.rejects(
        frontend.router.register({ user, username: 'romeo', password: foreign, hasPassword: true }),
        failure('bad-request'),
      )
      assert.deepEqual(await database.rowsOf(user), [])
      assert.ok((await metric(router, 'spectrum_router_request_failures_total', { code: 'not-acceptable' })) >= 5)
    })

    test('registering again changes the credentials and restarts the session', async () => {
      const user = someone()
      await frontend.register(user, 'romeo', password)
      const { generation } = await frontend.router.login({ user, nickHint: '' })
      assert.deepEqual(await frontend.register(user, 'montague', 'another'), { wasRegistered: true })
      const stop = await commandOf(user, 'stopSession')
      assert.equal(stop.generation, generation)
      const reason = StopSession_Reason.REASON_CREDENTIALS_CHANGED
      assert.deepEqual(stop.command, { $case: 'stopSession', value: { reason, text: '' } })
      const credentials = await fetch(user)
      assert.deepEqual([credentials.username, credentials.password], ['montague', 'another'])
      assert.equal((await database.rowsOf(user)).length, 1)
    })

    test('on a network without passwords a name belongs to one user', async () => {
      await worker.publishManifest({ isRequired: true, needsPassword: false })
      try {
        const [one, other] = [someone(), someone('capulet.example')]
        await frontend.register(one, 'nick')
        await frontend.register(one, 'nick')
        await assert.rejects(frontend.register(other, 'nick'), failure('not-acceptable'))
        await frontend.router.unregister({ user: one })
        await frontend.register(other, 'nick')
      } finally {
        await worker.publishManifest()
      }
    })

    test('credentials are for the worker that runs the backend, of the placed generation', async () => {
      const user = someone()
      await frontend.register(user, 'romeo', password)
      const { generation } = await frontend.router.login({ user, nickHint: '' })
      await using stranger = await Neighbour.connect(nats, 'worker')
      await assert.rejects(fetch(user, { process: stranger.bus.processId }), failure('not-allowed'))
      await assert.rejects(fetch(user, { epoch: backend.epoch - 1 }), failure('not-allowed'))
      await assert.rejects(fetch(user, { epoch: backend.epoch + 1 }), failure('not-allowed'))
      await assert.rejects(fetch(user, { backend: 1 }), failure('not-allowed'))
      await assert.rejects(fetch(user, { generation: generation - 1 }), failure('gone'))
      await assert.rejects(fetch(user, { publicKey: Buffer.alloc(3) }), failure('bad-request'))
      await assert.rejects(fetch(someone()), failure('gone'))
      const request = {
        user,
        backend: 0,
        epoch: backend.epoch,
        generation,
        process: worker.bus.processId,
        publicKey: Buffer.from(createSealingKeys().publicKey),
      }
      await assert.rejects(stranger.router.fetchCredentials(request), failure('not-allowed'))
      await assert.rejects(frontend.router.fetchCredentials(request), failure('not-allowed'))
      assert.equal((await fetch(user)).password, password)
    })

    test('a worker gets the instance key, nobody else', async () => {
      const keys = createSealingKeys()
      const request = { process: worker.bus.processId, publicKey: Buffer.from(keys.publicKey) }
      const privateKey = openReply(keys.privateKey, await worker.router.fetchInstanceKey(request))
      assert.equal(Buffer.from(openSealed(privateKey, await frontend.seal('#key'))).toString(), '#key')
      await assert.rejects(frontend.router.fetchInstanceKey(request), failure('not-allowed'))
      await assert.rejects(
        worker.router.fetchInstanceKey({ ...request, process: 'worker-of-somebody-else' }),
        failure('not-allowed'),
      )
    })

    test('contacts and renewed credentials are stored; unregistering leaves no row and no placement', async () => {
      const user = someone()
      await frontend.register(user, 'romeo', password)
      const claim = { user, backend: 0, epoch: backend.epoch }
      const contacts = [{ name: 'mercutio', alias: 'M', groups: ['Friends'] }]
      await assert.rejects(worker.router.saveContacts({ ...claim, contacts, removed: [] }), failure('gone'))
      const { generation } = await frontend.router.login({ user, nickHint: '' })
      await worker.router.saveContacts({ ...claim, contacts, removed: [] })
      const renewed = Credentials.encode(Credentials.fromPartial({ extraJson: '{"token":1}' })).finish()
      await worker.router.saveCredentials({ ...claim, account: await frontend.seal(Buffer.from(renewed).toString()) })
      const credentials = await fetch(user)
      assert.deepEqual(credentials.contacts, contacts)
      assert.deepEqual([credentials.password, credentials.extraJson], [password, '{"token":1}'])
      assert.ok((await database.rowsOf(user)).length >= 2)

      assert.deepEqual(await frontend.router.unregister({ user }), { wasRegistered: true, contacts: ['mercutio'] })
      assert.deepEqual(await database.rowsOf(user), [])
      const stop = await commandOf(user, 'stopSession')
      assert.equal(stop.generation, generation)
      const reason = StopSession_Reason.REASON_UNREGISTERED
      assert.deepEqual(stop.command, { $case: 'stopSession', value: { reason, text: '' } })
      const table = frontend.bus.table('placements', protoValue(Placement))
      assert.equal(await table.get(placementKey(instance, user)), undefined)
      assert.deepEqual(await frontend.router.unregister({ user }), { wasRegistered: false, contacts: [] })
      await assert.rejects(frontend.router.login({ user, nickHint: '' }), failure('not-registered'))
      await assert.rejects(fetch(user), failure('gone'))
    })

    test('a user who logs in while unregistering is not left placed', async () => {
      const user = someone()
      await frontend.register(user, 'romeo', password)
      const logins = Array.from({ length: 20 }, () =>
        frontend.router.login({ user, nickHint: '' }).catch(() => undefined),
      )
      await frontend.router.unregister({ user })
      await Promise.all(logins)
      const table = frontend.bus.table('placements', protoValue(Placement))
      assert.equal(await table.get(placementKey(instance, user)), undefined)
      assert.deepEqual(await database.rowsOf(user), [])
    })

    test('what NATS keeps holds no password', async () => {
      const user = someone()
      await frontend.register(user, 'romeo', password)
      await frontend.router.login({ user, nickHint: '' })
      await fetch(user)
      const kept = await readdir(nats.storeDir, { recursive: true, withFileTypes: true })
      const files = kept.filter(entry => entry.isFile()).map(entry => join(entry.parentPath, entry.name))
      const contents = await Promise.all(files.map(file => readFile(file)))
      const encoded = Buffer.from(user).toString('base64url')
      assert.ok(
        contents.some(content => content.includes(encoded)),
        'the placement is in a file',
      )
      for (const content of contents) assert.ok(!content.includes(password))
    })
  })
}

describe('registration that is not public', () => {
  test('only users of allowed servers register', async () => {
    await using nats = await startNats()
    await using _router = await startLocalRouter(nats, [
      '--registration.enable_public_registration=0',
      '--service.allowed_servers=montague.example',
    ])
    await using frontend = await Neighbour.connect(nats, 'frontend')
    await using worker = await Neighbour.connect(nats, 'worker')
    await worker.publishManifest()
    await frontend.register('romeo@montague.example', 'romeo', password)
    const user = 'juliet@capulet.example'
    await assert.rejects(frontend.register(user, 'juliet', password), failure('not-allowed'))
    await assert.rejects(frontend.router.getRegistration({ user }), failure('not-allowed'))
  })
})

describe('the master key', () => {
  test('another one is refused at the start, in one sentence', async () => {
    await using nats = await startNats()
    await using folder = await TemporaryFolder.create('router')
    const options = ['--database.type=sqlite3', `--database.database=${join(folder.path, 'database.sql')}`]
    const key = () => ({ SPECTRUM_MASTER_KEY: randomBytes(32).toString('base64') })
    const first = await startLocalRouter(nats, options, key())
    await first[Symbol.asyncDispose]()
    await assert.rejects(startLocalRouter(nats, options, key()), {
      name: 'StoreRefusedError',
      message: /^The master key is not the one that the database was sealed with\. /,
    })
  })

  test('without one SQLite gets its own; what is stored holds no password', async () => {
    await using nats = await startNats()
    await using folder = await TemporaryFolder.create('router')
    const file = join(folder.path, 'database.sql')
    const options = ['--database.type=sqlite3', `--database.database=${file}`]
    {
      await using _router = await startLocalRouter(nats, options)
      await using frontend = await Neighbour.connect(nats, 'frontend')
      await frontend.publishManifest()
      await frontend.register('romeo@montague.example', 'romeo', password)
    }
    assert.ok(!(await readFile(file)).includes(password))
    await using router = await startLocalRouter(nats, options)
    await using frontend = await Neighbour.connect(nats, 'frontend')
    assert.ok((await frontend.router.getRegistration({ user: 'romeo@montague.example' })).isRegistered)
    await waitUntil(async () => (await metric(router, 'spectrum_registered_users')) === 1)
  })
})
