import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { MessageReceived, MessageReceived_Kind } from '@spectrum/messages'
import type { RunningService } from '@spectrum/service-kit'
import { waitUntil } from '@spectrum/stack'
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

/** As a frontend returns them: each line once for each client that has not read it. */
function giveBack(of: string, bodies: readonly string[], resources: readonly string[], atMs: number): void {
  const messages = bodies.flatMap(body =>
    resources.map(resource => ({
      resources: [resource],
      message: MessageReceived.create({
        id: `id-${body}`,
        from: address('flock', 'Polly'),
        kind: MessageReceived_Kind.KIND_GROUPCHAT,
        body,
      }),
      atMs,
    })),
  )
  neighbours.send(of, '', { $case: 'messagesReturned', value: { messages } })
}

const linesOf = (of: string, from = 0) =>
  neighbours
    .told(of)
    .slice(from)
    .filter(line => / message flock/.test(line))

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

  // Said when the client was in the room, and it has not come in since: it is not back.
  const atMs = Date.now()
  giveBack(user, ['one', 'two'], ['orchard'], atMs)
  const from = neighbours.told(user).length
  neighbours.join(user, 'orchard', 'flock', 'romeo', 'again')
  const first = await neighbours.hears(user, /orchard: subject flock/, from)
  const told = neighbours.told(user).slice(from)
  const at = told.indexOf('orchard: here flock/romeo 110')
  assert.deepEqual(told.slice(at + 1, at + 5), [
    'orchard: returns of flock awaited',
    'orchard: message flock/Polly «one» id=id-one',
    'orchard: message flock/Polly «two» id=id-two',
    'orchard: subject flock/Polly «Welcome to flock»',
  ])
  neighbours.join(user, 'orchard', 'flock', 'romeo', 'once more')
  await neighbours.hears(user, /orchard: subject flock/, first)
  assert.equal(linesOf(user, from).length, 2)
  for (const { event } of neighbours.events)
    if (event?.$case === 'messageReceived') assert.equal(event.value.delayedAtMs, atMs)
})

test('a client that came back before its lines did is told at once, under whatever name; who read them is not', async () => {
  const juliet = 'juliet@example.org'
  await neighbours.register(juliet, 'juliet')
  for (const resource of ['desk', 'balcony1', 'balcony2']) neighbours.presence(juliet, resource)
  neighbours.join(juliet, 'desk', 'flock', 'juliet')
  await neighbours.hears(juliet, /desk: subject flock/)
  const saidAtMs = Date.now()
  await waitUntil(() => Date.now() > saidAtMs)
  neighbours.join(juliet, 'balcony1', 'flock', 'juliet')
  const joined = await neighbours.hears(juliet, /balcony1: subject flock/)
  giveBack(juliet, ['one'], ['balcony0'], saidAtMs)
  await neighbours.hears(juliet, /balcony1: message flock.Polly «one»/, joined)
  neighbours.join(juliet, 'balcony2', 'flock', 'juliet')
  await neighbours.hears(juliet, /balcony2: subject flock/)
  assert.deepEqual(linesOf(juliet), ['balcony1: message flock/Polly «one» id=id-one'])
})

test('what is said before a client that lost lines has joined again comes after them', async () => {
  const paris = 'paris@example.org'
  await neighbours.register(paris, 'paris')
  for (const resource of ['old', 'phone']) {
    neighbours.presence(paris, resource)
    neighbours.join(paris, resource, 'flock', 'paris')
    await neighbours.hears(paris, new RegExp(`${resource}: subject flock`))
  }
  // Without what the parrot of the room repeats.
  const ownLines = (from: number) => linesOf(paris, from).filter(line => / id=/.test(line))
  giveBack(paris, ['one'], ['old'], Date.now())
  neighbours.say(paris, 'phone', 'flock', 'two', 'm2')
  const said = await neighbours.hears(paris, /«two»/)
  assert.match(neighbours.told(paris)[said - 1] ?? '', /^phone: /)
  neighbours.join(paris, 'old', 'flock', 'paris')
  const joined = await neighbours.hears(paris, /old: subject flock/, said)
  assert.deepEqual(ownLines(said), ['old: message flock/Polly «one» id=id-one', 'old: message flock/paris «two» id=m2'])

  // Who asks whether it is in the room, and is, will not join again.
  giveBack(paris, ['three'], ['old'], Date.now())
  neighbours.say(paris, 'phone', 'flock', 'four', 'm4')
  neighbours.selfPing(paris, 'old', 'flock', 'paris', 'ping')
  await neighbours.hears(paris, /old: in flock.* ping/, joined)
  neighbours.say(paris, 'phone', 'flock', 'five', 'm5')
  await neighbours.hears(paris, /«five»/, joined)
  assert.deepEqual(ownLines(joined), [
    'phone: message flock/paris «four» id=m4',
    'old: message flock/Polly «three» id=id-three',
    'old: message flock/paris «four» id=m4',
    'old+phone: message flock/paris «five» id=m5',
  ])
})

test('what is returned after a client has joined again comes before what is said meanwhile; a frontend that never answers holds up nobody', async () => {
  const benvolio = 'benvolio@example.org'
  await neighbours.register(benvolio, 'benvolio')
  for (const resource of ['phone', 'desk']) {
    neighbours.presence(benvolio, resource)
    neighbours.join(benvolio, resource, 'flock', 'benvolio')
    await neighbours.hears(benvolio, new RegExp(`${resource}: subject flock`))
  }
  const saidAtMs = Date.now()
  const phoneLines = (from: number) => linesOf(benvolio, from).filter(line => /phone.* id=/.test(line))
  neighbours.send(benvolio, '', { $case: 'componentConnected', value: { frontend: 'one' } })
  neighbours.answersReturns = false
  try {
    const before = neighbours.told(benvolio).length
    neighbours.join(benvolio, 'phone', 'flock', 'benvolio')
    const awaited = await neighbours.hears(benvolio, /phone: returns of flock awaited/, before)
    neighbours.say(benvolio, 'desk', 'flock', 'younger', 'young')
    await neighbours.hears(benvolio, /desk: message flock.benvolio «younger»/, awaited)
    giveBack(benvolio, ['older'], ['phone'], saidAtMs)
    neighbours.returnsComplete(benvolio, 'phone', address('flock'))
    const subject = await neighbours.hears(benvolio, /phone: subject flock/, awaited)
    assert.deepEqual(phoneLines(before), [
      'phone: message flock/Polly «older» id=id-older',
      'phone: message flock/benvolio «younger» id=young',
    ])

    neighbours.join(benvolio, 'phone', 'flock', 'benvolio')
    await neighbours.hears(benvolio, /phone: returns of flock awaited/, subject)
    neighbours.say(benvolio, 'desk', 'flock', 'patient', 'patient')
    const told = await neighbours.hears(benvolio, /phone: message flock.benvolio «patient»/, subject)
    await neighbours.hears(benvolio, /phone: subject flock/, told)
  } finally {
    neighbours.answersReturns = true
  }
})

test('a frontend that may be returning lines is asked, also before it has told every session of its new stream', async () => {
  const mercutio = 'mercutio@example.org'
  await neighbours.register(mercutio, 'mercutio')
  neighbours.presence(mercutio, 'phone')
  neighbours.join(mercutio, 'phone', 'flock', 'mercutio')
  const joined = await neighbours.hears(mercutio, /phone: subject flock/)
  assert.ok(!neighbours.told(mercutio).some(line => line.includes('awaited')))
  neighbours.join(mercutio, 'phone', 'flock', 'mercutio', 'again', undefined, true)
  const awaited = await neighbours.hears(mercutio, /phone: returns of flock awaited/, joined)
  await neighbours.hears(mercutio, /phone: subject flock/, awaited)
})

test('a client that signs in again under its name after a new stream is told how the gateway is, once', async () => {
  const tybalt = 'tybalt@example.org'
  await neighbours.register(tybalt, 'tybalt')
  neighbours.presence(tybalt, 'phone')
  const online = await neighbours.hears(tybalt, /phone: gateway 0$/)
  neighbours.send(tybalt, '', { $case: 'componentConnected', value: { frontend: 'one' } })
  const checked = await neighbours.hears(tybalt, /phone: resourceCheck/, online)
  for (let i = 0; i < 2; i++) neighbours.presence(tybalt, 'phone')
  neighbours.selfPing(tybalt, 'phone', 'flock', 'tybalt', 'ping')
  const end = await neighbours.hears(tybalt, /phone: failed iq ping/, checked)
  const gateway = neighbours
    .told(tybalt)
    .slice(checked, end)
    .filter(line => line.includes('gateway'))
  assert.deepEqual(gateway, ['phone: gateway 0'])
})

test('returned lines outlive the worker', async () => {
  const nurse = 'nurse@example.org'
  await neighbours.register(nurse, 'nurse')
  neighbours.presence(nurse, 'old')
  neighbours.join(nurse, 'old', 'flock', 'nurse')
  const joined = await neighbours.hears(nurse, /old: subject flock/)
  giveBack(nurse, ['one', 'two'], ['old'], Date.now())
  await neighbours.stored(nurse, 0, ({ missedLines }) => missedLines.length === 2)
  await worker[Symbol.asyncDispose]()
  worker = await workerHere(neighbours.nats.url)
  neighbours.join(nurse, 'new', 'flock', 'nurse')
  await neighbours.hears(nurse, /new: subject flock/, joined)
  assert.deepEqual(linesOf(nurse), [
    'new: message flock/Polly «one» id=id-one',
    'new: message flock/Polly «two» id=id-two',
  ])
  await neighbours.stored(nurse, 0, ({ missedLines }) => missedLines.length === 0)
})
