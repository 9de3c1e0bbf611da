import assert from 'node:assert/strict'
import { after, before, suite, test } from 'node:test'
import type { Store } from '../src/index.ts'
import { freshStore, type Place, places } from './stores.ts'

const romeo = 'romeo@example.org'
const juliet = 'juliet@example.org'
const bytes = (text: string) => Buffer.from(text)
const register = async ({ accounts }: Store, users: readonly string[]) => {
  for (const user of users) await accounts.save(user, { username: 'n', secret: bytes('x'), isExclusive: false })
}

for (const [kind, start] of Object.entries(places)) {
  suite(`live sessions in ${kind}`, () => {
    let place: Place
    before(async () => {
      place = await start()
    })
    after(() => place[Symbol.asyncDispose]())

    test('are written in bulk and read by pages', async () => {
      await using store = await freshStore(place)
      const users = Array.from({ length: 500 }, (_, index) => `user${String(index).padStart(3, '0')}@example.org`)
      await register(store, users)
      await store.liveSessions.save(
        users.map(user => ({ user, generation: 4_000_000_000, snapshot: bytes(user), isOnline: true })),
      )
      assert.equal(await store.liveSessions.count(), 500)
      const found: string[] = []
      for (let page = await store.liveSessions.page(200); page.length > 0; ) {
        for (const { user, generation, snapshot } of page) {
          assert.equal(generation, 4_000_000_000)
          assert.deepEqual(Buffer.from(snapshot), bytes(user))
          found.push(user)
        }
        page = await store.liveSessions.page(200, found.at(-1))
      }
      assert.deepEqual(found, users)
    })

    test('an older generation never replaces a newer one, and what is over stays over', async () => {
      await using store = await freshStore(place)
      const { liveSessions } = store
      await register(store, [romeo])
      const write = (generation: number, text?: string) =>
        liveSessions.save([
          { user: romeo, generation, isOnline: true, ...(text === undefined ? {} : { snapshot: bytes(text) }) },
        ])
      const now = async () => {
        const [row] = await liveSessions.page(10)
        return row && `${row.generation} ${Buffer.from(row.snapshot)}`
      }
      await write(5, 'a')
      await write(5, 'b')
      assert.equal(await now(), '5 b')
      await write(4, 'old')
      await write(4)
      assert.equal(await now(), '5 b')
      await write(5)
      assert.equal(await now(), undefined)
      await write(5, 'late')
      assert.equal(await now(), undefined)
      await write(6, 'new')
      assert.equal(await now(), '6 new')
      await liveSessions.save([])
    })

    test('one write holds sessions that live and that are over; the last of a user counts', async () => {
      await using store = await freshStore(place)
      await register(store, [romeo, juliet])
      await store.liveSessions.save([
        { user: romeo, generation: 1, isOnline: false },
        { user: juliet, generation: 1, isOnline: true, snapshot: bytes('first') },
        { user: juliet, generation: 2, isOnline: true, snapshot: bytes('last') },
      ])
      const rows = await store.liveSessions.page(10)
      assert.deepEqual(
        rows.map(({ user, generation, snapshot }) => [user, generation, Buffer.from(snapshot).toString()]),
        [[juliet, 2, 'last']],
      )
    })

    test('what ended is forgotten, what lives is not; the account takes its session with it', async () => {
      await using store = await freshStore(place)
      await register(store, [romeo, juliet])
      await store.liveSessions.save([
        { user: romeo, generation: 1, isOnline: false },
        { user: juliet, generation: 1, isOnline: true, snapshot: bytes('s') },
      ])
      assert.equal(await store.liveSessions.forgetEnded(new Date(Date.now() - 60_000)), 0)
      assert.equal(await store.liveSessions.forgetEnded(new Date(Date.now() + 60_000)), 1)
      assert.equal(await store.liveSessions.count(), 1)
      await store.accounts.remove(juliet)
      assert.equal(await store.liveSessions.count(), 0)
      // What the worker tells of a session that ended with the account leaves no row behind.
      await store.liveSessions.save([
        { user: juliet, generation: 1, isOnline: false },
        { user: romeo, generation: 2, isOnline: false },
      ])
      assert.equal(await store.liveSessions.forgetEnded(new Date(Date.now() + 60_000)), 1)
    })
  })
}
