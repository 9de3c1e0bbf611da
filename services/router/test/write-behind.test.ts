import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { backendResource, commandLane, type Ownership, restoredKey } from '@spectrum/bus'
import { type Command, commandCodec, Sealed, SessionSnapshot, Show } from '@spectrum/messages'
import { startNats, startPostgres, TemporaryFolder, waitUntil } from '@spectrum/stack'
import { failure, instance, type LocalRouter, metric, Neighbour, startLocalRouter, untilLeads } from './harness.ts'

type Commands = Command[]

/** Options and environment of routers on one fresh database. */
interface Place extends AsyncDisposable {
  fresh(): Promise<{ options: string[]; env: Record<string, string> }>
}

const places: Record<string, () => Promise<Place>> = {
  async PostgreSQL() {
    const postgres = await startPostgres()
    return {
      fresh: async () => ({
        options: ['--database.type=pqxx'],
        env: {
          SPECTRUM_DATABASE_CONNECTIONSTRING: await postgres.createDatabase(),
          SPECTRUM_MASTER_KEY: randomBytes(32).toString('base64'),
        },
      }),
      [Symbol.asyncDispose]: () => postgres[Symbol.asyncDispose](),
    }
  },
  async SQLite() {
    const folder = await TemporaryFolder.create('write-behind')
    let files = 0
    return {
      fresh: async () => ({
        options: ['--database.type=sqlite3', `--database.database=${join(folder.path, `${++files}.sql`)}`],
        env: {},
      }),
      [Symbol.asyncDispose]: () => folder[Symbol.asyncDispose](),
    }
  },
}

/** A worker that owns backend 0 and keeps what its lane says. */
async function owning(worker: Neighbour): Promise<{ ownership: Ownership; commands: Commands }> {
  const ownership = await waitUntil(() => worker.bus.owners.acquire(backendResource(instance, 0)))
  const commands: Commands = []
  await worker.bus.consume(commandLane(instance, 0), commandCodec, ownership, {
    onItem(delivery) {
      commands.push(delivery.item)
      delivery.finish()
    },
    onLost() {},
  })
  return { ownership, commands }
}

const snapshotOf = (user: string, generation: number): SessionSnapshot =>
  SessionSnapshot.create({
    generation,
    username: user,
    resources: [{ resource: 'orchard', show: Show.SHOW_AWAY, status: 'é', priority: 5 }],
    rooms: [
      {
        name: '#verona',
        node: '#verona',
        nick: user,
        resources: ['orchard'],
        password: Sealed.create({ nonce: Buffer.alloc(12, 1), ciphertext: Buffer.alloc(40, 2) }),
      },
    ],
    settings: { stay_connected: '1' },
    lastActiveMs: 1_790_000_000_000,
  })

const options = ['--registration.auto_register=1', '--service.users_per_backend=1000']

for (const [kind, start] of Object.entries(places)) {
  describe(`write-behind, ${kind}`, () => {
    let place: Place
    before(async () => {
      place = await start()
    })
    after(() => place[Symbol.asyncDispose]())

    test('when the bus has lost its tables every live session is placed and started from its copy, none that ended', async () => {
      const { options: database, env } = await place.fresh()
      const users = Array.from({ length: 300 }, (_, index) => `user${index}@example.org`)
      const ended = users.slice(0, 20)
      const gone = 'gone@example.org'
      const generations = new Map<string, number>()
      {
        await using nats = await startNats()
        await using router = await startLocalRouter(nats, [...options, ...database], env)
        await using frontend = await Neighbour.connect(nats, 'frontend')
        await using worker = await Neighbour.connect(nats, 'worker')
        await untilLeads(router)
        const { ownership } = await owning(worker)
        for (const user of [...users, gone])
          generations.set(user, (await frontend.router.login({ user, nickHint: '' })).generation)
        const save = (names: string[], isLive: boolean) =>
          worker.router.saveSessions({
            process: worker.bus.processId,
            sessions: names.map(user => {
              const generation = generations.get(user) ?? 0
              const snapshot = isLive ? snapshotOf(user, generation) : undefined
              return { user, backend: 0, epoch: ownership.epoch, generation, snapshot }
            }),
          })
        await save([...users, gone], true)
        await save(ended, false)
        await save(ended, true)
        await frontend.router.unregister({ user: gone })
        assert.equal(await metric(router, 'spectrum_router_saved_sessions_total', { result: 'over' }), 20)

        const wrong = { user: gone, backend: 0, epoch: ownership.epoch + 1, generation: 1, snapshot: undefined }
        const { processId: process } = worker.bus
        await assert.rejects(worker.router.saveSessions({ process, sessions: [wrong] }), failure('not-allowed'))
        const many = Array.from({ length: 501 }, () => ({ ...wrong, epoch: ownership.epoch }))
        await assert.rejects(worker.router.saveSessions({ process, sessions: many }), failure('bad-request'))
        const other = { process: 'another', sessions: [] }
        await assert.rejects(worker.router.saveSessions(other), failure('not-allowed'))
      }
      // Another bus: its tables are empty.
      await using nats = await startNats()
      await using worker = await Neighbour.connect(nats, 'worker')
      let router: LocalRouter | undefined = await startLocalRouter(nats, [...options, ...database], env)
      try {
        // The first leader stops in the middle; the next one goes on.
        await waitUntil(
          async () =>
            (await metric(router as LocalRouter, 'spectrum_router_restored_sessions_total', { result: 'restored' })) >
            40,
        )
        await router[Symbol.asyncDispose]()
        router = undefined
        router = await startLocalRouter(nats, [...options, ...database], env)
        const { commands } = await owning(worker)
        const raw = { encode: (value: Uint8Array) => value, decode: (bytes: Uint8Array) => bytes }
        await waitUntil(() => worker.bus.table('keys', raw).get(restoredKey(instance)), {
          deadlineMs: 60_000,
          describe: () => `${commands.length} commands\n${router?.log.lines.join('\n')}`,
        })
        const live = users.slice(20)
        await waitUntil(() => commands.length >= live.length, { describe: () => `${commands.length} commands` })
        const byUser = new Map<string, Command>()
        for (const command of commands) {
          const before = byUser.get(command.user)
          assert.ok(before === undefined || before.generation === command.generation, 'started under one generation')
          byUser.set(command.user, command)
        }
        assert.deepEqual([...byUser.keys()].toSorted(), live.toSorted())
        for (const [user, { command, generation }] of byUser) {
          assert.ok(generation > (generations.get(user) ?? 0))
          assert.ok(command?.$case === 'startSession')
          assert.equal(command.value.username, user)
          assert.deepEqual(command.value.snapshot, { ...snapshotOf(user, generations.get(user) ?? 0), backend: 0 })
        }
      } finally {
        await router?.[Symbol.asyncDispose]()
      }
    })

    test('a bus that has its tables is left as it is', async () => {
      const { options: database, env } = await place.fresh()
      await using nats = await startNats()
      await using worker = await Neighbour.connect(nats, 'worker')
      const raw = { encode: (value: Uint8Array) => value, decode: (bytes: Uint8Array) => bytes }
      const marker = () => worker.bus.table('keys', raw).get(restoredKey(instance))
      {
        await using router = await startLocalRouter(nats, [...options, ...database], env)
        await untilLeads(router)
        await waitUntil(marker)
        const { ownership } = await owning(worker)
        const session = { user: 'late@example.org', backend: 0, epoch: ownership.epoch, generation: 7 }
        const sessions = [{ ...session, snapshot: snapshotOf('late@example.org', 7) }]
        await worker.router.saveSessions({ process: worker.bus.processId, sessions })
      }
      await using router = await startLocalRouter(nats, [...options, ...database], env)
      await untilLeads(router)
      assert.equal(await metric(router, 'spectrum_router_restored_sessions_total', { result: 'over' }), 0)
      assert.equal(await metric(router, 'spectrum_placements'), 0)
    })
  })
}
