import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { Show } from '@spectrum/messages'
import type { RunningService } from '@spectrum/service-kit'
import { waitUntil } from '@spectrum/stack'
import { Neighbours } from './neighbours.ts'
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
