import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { snapshotKey } from '@spectrum/bus'
import { Show, StopSession_Reason } from '@spectrum/messages'
import type { RunningService } from '@spectrum/service-kit'
import { waitUntil } from '@spectrum/stack'
import { instance, Neighbours } from './neighbours.ts'
import { workerHere } from './worker.ts'

let neighbours: Neighbours
let worker: RunningService & { metrics(): Promise<string> }

before(async () => {
  neighbours = await Neighbours.start()
  worker = await workerHere(neighbours.nats.url)
  await neighbours.addBackend(0)
})
after(async () => {
  await worker?.[Symbol.asyncDispose]()
  await neighbours?.[Symbol.asyncDispose]()
})

test('a user signs in, talks in a room and with a contact, and signs out', async () => {
  const user = 'romeo@example.org'
  await neighbours.register(user, 'romeo')
  neighbours.presence(user, 'orchard')
  await neighbours.hears(user, /orchard: gateway 0$/)
  neighbours.join(user, 'orchard', 'flock', 'romeo', 'j1')
  const ready = await neighbours.hears(user, /orchard: subject flock/)
  const entrance = neighbours
    .told(user)
    .slice(0, ready)
    .filter(line => line.includes('flock'))
  assert.match(entrance.at(-2) ?? '', /orchard: here flock\/romeo 110$/)
  assert.match(entrance[0] ?? '', /orchard: here flock\/Polly$/)
  neighbours.say(user, 'orchard', 'flock', 'hello', 'm1')
  await neighbours.hears(user, /orchard: message flock\/romeo «hello» id=m1/, ready)
  await neighbours.hears(user, /orchard: message flock\/Polly «.*hello.*»/, ready)
  neighbours.chat(user, 'orchard', 'polly', 'pretty?')
  await neighbours.hears(user, /bare: message polly «.*pretty\?.*»/)
  neighbours.presence(user, 'orchard', Show.SHOW_OFFLINE)
  await neighbours.hears(user, /orchard: gone flock\/romeo 110/)
  await neighbours.hears(user, /bare: gateway 6/)
  await waitUntil(() => neighbours.released.some(line => line.startsWith(user)), {
    deadlineMs: 10_000,
    describe: () => 'the placement was not released',
  })
})

test('new credentials: the session connects anew, and clients are told nothing of it', async () => {
  const user = 'juliet@example.org'
  await neighbours.register(user, 'juliet')
  neighbours.presence(user, 'balcony')
  neighbours.join(user, 'balcony', 'flock', 'juliet')
  const joined = await neighbours.hears(user, /balcony: subject flock/)
  neighbours.accounts.set(user, { username: 'juliet', password: 'other' })
  const reason = StopSession_Reason.REASON_CREDENTIALS_CHANGED
  neighbours.send(user, '', { $case: 'stopSession', value: { reason, text: '' } })
  neighbours.say(user, 'balcony', 'flock', 'still here', 'm1')
  await neighbours.hears(user, /balcony: message flock\/juliet «still here» id=m1/, joined)
  const since = neighbours.told(user).slice(joined)
  assert.deepEqual(
    since.filter(line => /gateway|gone|110/.test(line)),
    [],
  )
})

test('unregistered: rooms, contacts and the gateway are gone, and so is what was stored', async () => {
  const user = 'paris@example.org'
  await neighbours.register(user, 'paris')
  neighbours.presence(user, 'street')
  neighbours.join(user, 'street', 'flock', 'paris')
  const joined = await neighbours.hears(user, /street: subject flock/)
  await neighbours.stored(user, 0, ({ rooms }) => rooms.length === 1)
  const reason = StopSession_Reason.REASON_UNREGISTERED
  neighbours.send(user, '', { $case: 'stopSession', value: { reason, text: '' } })
  await neighbours.hears(user, /street: gone flock\/paris 110,332/, joined)
  await neighbours.hears(user, /bare: contact polly 6/, joined)
  await neighbours.hears(user, /bare: gateway 6/, joined)
  await waitUntil(() => neighbours.released.some(line => line.startsWith(user)), {
    deadlineMs: 10_000,
    describe: () => 'the placement was not released',
  })
  const table = neighbours.router.table('snapshots')
  assert.equal(await table.get(snapshotKey(instance, 0, user)), undefined)
  // A second stop, and whoever still leaves, have nothing to do and harm nobody.
  neighbours.send(user, '', { $case: 'stopSession', value: { reason, text: '' } })
  neighbours.leave(user, 'street', 'flock', 'paris')
  neighbours.say(user, 'street', 'flock', 'hello?', 'm2')
  await neighbours.hears(user, /street: failed message m2 flock signed-out/)
})
