import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { Show } from '@spectrum/messages'
import { waitUntil } from '@spectrum/stack'
import { Neighbours } from './neighbours.ts'
import { workerHere } from './worker.ts'

const user = 'romeo@example.org'
let neighbours: Neighbours
let worker: Awaited<ReturnType<typeof workerHere>>

before(async () => {
  neighbours = await Neighbours.start()
  await neighbours.addBackend(0)
  worker = await workerHere(neighbours.nats.url)
  await neighbours.register(user, 'romeo')
})
after(async () => {
  await worker[Symbol.asyncDispose]()
  await neighbours[Symbol.asyncDispose]()
})

const metric = async (line: RegExp) => Number(line.exec(await worker.metrics())?.[1] ?? 0)

test('a login takes a turn, a network that throttles is reported, and the session tries again', async () => {
  neighbours.presence(user, 'orchard')
  neighbours.join(user, 'orchard', 'flock', 'romeo')
  await neighbours.hears(user, /orchard: subject flock/)
  const used = /worker_login_turns_total\{result="used"\} (\d+)/
  assert.equal(await metric(used), 1)
  neighbours.say(user, 'orchard', 'flock', '!disconnect rate-limited', 'd1')
  await waitUntil(() => neighbours.throttled.length > 0, {
    describe: () => neighbours.told(user).slice(-10).join('\n'),
  })
  assert.deepEqual(neighbours.throttled, ['parrot'])
  await waitUntil(async () => (await metric(used)) === 2, { deadlineMs: 15_000 })
  assert.equal(await metric(/worker_logins_waiting (\d+)/), 0)
})

test('copies of the session are handed to the router, of occupants hashes alone; its end too', async () => {
  const copy = await waitUntil(() => neighbours.saved.get(user)?.snapshot && neighbours.saved.get(user), {
    deadlineMs: 25_000,
  })
  assert.deepEqual(
    copy?.snapshot?.rooms.map(({ name, nick, occupants, looks, toldHashes }) => [
      name,
      nick,
      [...occupants, ...looks],
      toldHashes.length,
    ]),
    [['flock', 'romeo', [], 1]],
  )
  assert.equal(copy?.backend, 0)
  neighbours.presence(user, 'orchard', Show.SHOW_OFFLINE)
  await waitUntil(() => neighbours.saved.get(user)?.snapshot === undefined, { deadlineMs: 25_000 })
})
