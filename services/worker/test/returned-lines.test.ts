import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { MessageReceived, MessageReceived_Kind } from '@spectrum/messages'
import type { RunningService } from '@spectrum/service-kit'
import { address, Neighbours } from './neighbours.ts'
import { workerHere } from './worker.ts'

let neighbours: Neighbours
let worker: RunningService
const user = 'romeo@example.org'

before(async () => {
  neighbours = await Neighbours.start()
  worker = await workerHere(neighbours.nats.url)
  await neighbours.addBackend(0)
})
after(async () => {
  await worker?.[Symbol.asyncDispose]()
  await neighbours?.[Symbol.asyncDispose]()
})

test('lines that were not read are told once when the client joins again; a new stream verifies every resource', async () => {
  await neighbours.register(user, 'romeo')
  for (const resource of ['orchard', 'phone']) neighbours.presence(user, resource)
  neighbours.join(user, 'orchard', 'flock', 'romeo')
  const joined = await neighbours.hears(user, /orchard: subject flock/)

  neighbours.send(user, '', { $case: 'componentConnected', value: { frontend: 'one' } })
  await neighbours.hears(user, /phone: resourceCheck/, joined)
  const checks = neighbours
    .told(user)
    .slice(joined)
    .filter(line => !line.includes('contact'))
  assert.deepEqual(checks, ['orchard: resourceCheck', 'phone: resourceCheck'])

  const messages = ['one', 'two'].map(body => ({
    resources: ['orchard'],
    message: MessageReceived.create({
      from: address('flock', 'Polly'),
      kind: MessageReceived_Kind.KIND_GROUPCHAT,
      body,
    }),
    atMs: 1_000,
  }))
  neighbours.send(user, '', { $case: 'messagesReturned', value: { messages } })
  const from = neighbours.told(user).length
  for (let i = 0; i < 2; i++) neighbours.join(user, 'orchard', 'flock', 'romeo', `again${i}`)
  const first = await neighbours.hears(user, /orchard: subject flock/, from)
  await neighbours.hears(user, /orchard: subject flock/, first)
  const told = neighbours.told(user).slice(from)
  const at = told.indexOf('orchard: here flock/romeo 110')
  assert.deepEqual(told.slice(at + 1, at + 3), [
    'orchard: message flock/Polly «one»',
    'orchard: message flock/Polly «two»',
  ])
  assert.equal(told.filter(line => line.includes('«')).filter(line => line.includes('message')).length, 2)
  for (const { event } of neighbours.events)
    if (event?.$case === 'messageReceived') assert.equal(event.value.delayedAtMs, 1_000)
})
