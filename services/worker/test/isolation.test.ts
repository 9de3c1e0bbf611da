import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
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

test('a user whose queue is frozen delays nobody; beyond the limit every line is answered', async () => {
  const slow = 'slow@example.org'
  const slowGeneration = (await neighbours.register(slow, 'slow')).generation
  neighbours.presence(slow, 'r')
  neighbours.join(slow, 'r', 'flock', 'slow')
  await neighbours.hears(slow, /r: subject flock/)
  const quick = 'quick@example.org'
  await neighbours.register(quick, 'quick')
  neighbours.presence(quick, 'r')
  neighbours.join(quick, 'r', 'nest', 'quick')
  await neighbours.hears(quick, /r: subject nest/)

  const generation = neighbours.generation
  neighbours.generation = slowGeneration
  neighbours.chat(slow, 'r', 'polly', '!slow 60s')
  await neighbours.hears(slow, /message polly «Messages take/)
  for (let i = 0; i < 250; i++) neighbours.say(slow, 'r', 'flock', `line ${i}`, `l${i}`)
  neighbours.generation = generation

  const startedMs = performance.now()
  for (let i = 0; i < 100; i++) neighbours.say(quick, 'r', 'nest', `fast ${i}`, `f${i}`)
  await neighbours.hears(quick, /«fast 99» id=f99/)
  assert.ok(performance.now() - startedMs < 5_000)
  const own = neighbours.told(quick).filter(line => / id=f\d+$/.test(line))
  assert.deepEqual(
    own,
    Array.from({ length: 100 }, (_, i) => `r: message nest/quick «fast ${i}» id=f${i}`),
  )

  // One is on its way, 200 wait, 49 are too many.
  const refused = () => neighbours.told(slow).filter(line => line.includes('rate-limited'))
  await waitUntil(() => refused().length >= 49, { deadlineMs: 10_000, describe: () => refused().join('\n') })
  assert.equal(refused().length, 49)
  assert.match(refused()[0] ?? '', /failed message l201 /)
})

test('a command that fails unexpectedly is answered and the others go on', async () => {
  const user = 'mercutio@example.org'
  await neighbours.register(user, 'mercutio')
  neighbours.presence(user, 'r')
  neighbours.join(user, 'r', 'flock', 'mercutio')
  const joined = await neighbours.hears(user, /r: subject flock/)
  neighbours.say(user, 'r', 'flock', '!fail rate-limited')
  await neighbours.hears(user, /message flock\/Polly/, joined)
  neighbours.say(user, 'r', 'flock', 'one', 'm1')
  await neighbours.hears(user, /failed message m1 flock rate-limited/)
  neighbours.say(user, 'r', 'flock', 'two', 'm2')
  await neighbours.hears(user, /«two» id=m2/)
  const metrics = await worker.metrics()
  assert.match(metrics, /spectrum_worker_commands_total\{kind="sendMessage",result="rate-limited"\}/)
})

test('the same command twice is sent once', async () => {
  const user = 'tybalt@example.org'
  await neighbours.register(user, 'tybalt')
  neighbours.presence(user, 'r')
  neighbours.join(user, 'r', 'flock', 'tybalt')
  const joined = await neighbours.hears(user, /r: subject flock/)
  neighbours.repeatNext = true
  neighbours.say(user, 'r', 'flock', 'once', 'm1')
  neighbours.say(user, 'r', 'flock', 'end', 'm2')
  await neighbours.hears(user, /«end» id=m2/, joined)
  assert.equal(neighbours.told(user).filter(line => line.includes('id=m1')).length, 1)
})

test('commands of a generation that is over are answered, and a registration that is gone ends in words', async () => {
  const user = 'paris@example.org'
  neighbours.say(user, 'r', 'flock', 'hello', 'm1')
  await neighbours.hears(user, /r: failed message m1 flock signed-out/)
  neighbours.presence(user, 'r')
  await neighbours.hears(user, /bare: message +«Who are you\?»/)
  await neighbours.hears(user, /bare: gateway 6/)
})
