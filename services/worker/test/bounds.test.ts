import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { SessionSnapshot, Show } from '@spectrum/messages'
import { waitUntil } from '@spectrum/stack'
import { address, Neighbours } from './neighbours.ts'
import { workerHere } from './worker.ts'

// What clients fill a session with must not keep its snapshot from being stored: nothing would be finished any more.

let neighbours: Neighbours
before(async () => {
  neighbours = await Neighbours.start()
  await neighbours.addBackend(0)
})
after(async () => {
  await neighbours?.[Symbol.asyncDispose]()
})

const limits = { firstRetryMs: 50 }
const reflected = (user: string) =>
  neighbours.told(user).filter(line => /^balcony.*message flock\/\S+ «line \d+» id=m\d+/.test(line)).length

test('six clients with a status of 240 kB: what was said is said once, also after a restart of the worker', async () => {
  const user = 'juliet@example.org'
  let worker = await workerHere(neighbours.nats.url, { limits })
  try {
    await neighbours.register(user, 'juliet')
    const status = '€'.repeat(80_000)
    for (const resource of ['balcony', 'phone', 'tomb', 'garden', 'hall', 'cell'])
      neighbours.send(user, resource, { $case: 'setPresence', value: { show: Show.SHOW_CHAT, status, priority: 0 } })
    neighbours.join(user, 'balcony', 'flock', 'juliet')
    await neighbours.hears(user, /balcony: subject flock/)
    for (let i = 0; i < 20; i++) neighbours.say(user, 'balcony', 'flock', `line ${i}`, `m${i}`)
    await waitUntil(() => reflected(user) === 20, { describe: () => `${reflected(user)} lines` })
    await neighbours.stored(user, 0, ({ resources }) => resources.length === 6)
    await neighbours.stored(user, 0, ({ resources }) => resources.every(({ status: kept }) => kept === '€'.repeat(341)))
    assert.match(await worker.metrics(), /dropped_total\{kind="setPresence",reason="status-cut"\} 6/)
    await worker[Symbol.asyncDispose]()
    worker = await workerHere(neighbours.nats.url, { limits })
    const since = neighbours.told(user).length
    neighbours.say(user, 'balcony', 'flock', 'after the restart', 'n1')
    await neighbours.hears(user, /«after the restart» id=n1/, since)
    assert.equal(reflected(user), 20)
  } finally {
    await worker[Symbol.asyncDispose]()
  }
})

test('clients, rooms, ids and passwords have limits, and each is answered', async () => {
  const user = 'romeo@example.org'
  const worker = await workerHere(neighbours.nats.url, { limits })
  try {
    await neighbours.register(user, 'romeo')
    for (let i = 0; i < 65; i++) neighbours.presence(user, `orchard${i}`)
    await neighbours.hears(user, /orchard64: failed presence \S+ +rate-limited/)
    neighbours.join(user, 'orchard0', 'flock', 'romeo', 'i'.repeat(1_024))
    await neighbours.hears(user, /orchard0: refused flock\/romeo too-large/)
    neighbours.join(user, 'orchard0', 'flock', 'romeo', 'j1', 'k'.repeat(1_024))
    await neighbours.hears(user, /orchard0: refused flock\/romeo not-authorized/)
    for (let i = 0; i < 301; i++) neighbours.join(user, 'orchard0', `room${i}`, 'romeo')
    await neighbours.hears(user, /orchard0: refused room300\/romeo rate-limited/)
    await neighbours.hears(user, /orchard0: (subject|refused) room299/)
    // Names of a thousand bytes in every room: refused long before a snapshot is as large as a message may be.
    const names = Array.from({ length: 20 }, (_, i) => `${i}-`.padEnd(1_000, 'x'))
    for (const name of names)
      for (let i = 0; i < 50; i++)
        neighbours.send(user, name, {
          $case: 'joinRoom',
          value: {
            room: address(`room${i}`, 'romeo'),
            password: undefined,
            hasMucElement: true,
            show: 0,
            status: '',
            inDoubt: false,
          },
        })
    await neighbours.hears(user, new RegExp(`^${names[19]}: refused \\S+ rate-limited`))
    await neighbours.stored(
      user,
      0,
      snapshot => snapshot.rooms.length >= 300 && SessionSnapshot.encode(snapshot).finish().length < 1_000_000,
    )
    assert.doesNotMatch(await worker.metrics(), /snapshots_total\{result="(failed|lean|given-up)"/)
  } finally {
    await worker[Symbol.asyncDispose]()
  }
})
