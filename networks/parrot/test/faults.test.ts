import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import type { Chat, FailureCode, NetworkError, RoomId } from '@spectrum/network'
import { realClock, SignedIn, TestHost } from '@spectrum/network-testkit'
import { parseRoom, parseUser } from '../src/ids.ts'
import { parrot } from '../src/index.ts'

const host = () => new TestHost()
const connector = parrot.create(parrot.config.parse({}), { log: host().log, clock: realClock })
const polly: Chat = { kind: 'contact', user: parseUser('polly') }
const flock = parseRoom('flock')

let romeo: SignedIn
let keys = 0
const say = async (chat: Chat, text: string) => romeo.session.send({ key: `key-${++keys}`, chat, text })
const enter = async (room: RoomId) => {
  await romeo.session.features.rooms?.join({ room, nick: 'Romeo' })
  await romeo.host.event('room-ready', event => event.room === room)
}
const failsWith = (code: FailureCode) => (error: NetworkError) => error.name === 'NetworkError' && error.code === code

before(async () => {
  romeo = await signIn()
})
after(() => romeo.stop())

async function signIn(password?: string): Promise<SignedIn> {
  const account = { username: 'romeo', settings: {}, ...(password && { password }) }
  return new SignedIn(connector, account, host()).online()
}

test('polly repeats what she hears, in private and in a room', async () => {
  await say(polly, 'good morning')
  await romeo.host.event('message', ({ text, chat }) => text === 'good morning' && chat.kind === 'contact')
  await enter(flock)
  await say({ kind: 'room', room: flock }, 'good evening')
  const { from } = await romeo.host.event('message', ({ text }) => text === 'good evening')
  assert.equal(from.nick, 'Polly')
})

test('a message handed over twice is said once', async () => {
  const message = { key: 'the same', chat: polly, text: 'only once' }
  const first = await romeo.session.send(message)
  assert.deepEqual(await romeo.session.send(message), first)
})

test('!fail: the next message fails, and only that', async () => {
  await say(polly, '!fail rate-limited')
  await romeo.host.event('message', ({ text }) => text.startsWith('The next message fails'))
  await assert.rejects(say(polly, 'lost'), failsWith('rate-limited'))
  await say(polly, 'found')
  await romeo.host.event('message', ({ text }) => text === 'found')
})

test('!slow: messages and joins take that long until told otherwise', async () => {
  await say(polly, '!slow 50ms')
  await romeo.host.event('message', ({ text }) => text.startsWith('Messages take 50 ms'))
  const beforeJoin = performance.now()
  await enter(parseRoom('slow'))
  assert.ok(performance.now() - beforeJoin >= 45)
  const begin = performance.now()
  await say(polly, '!slow 0ms')
  assert.ok(performance.now() - begin >= 45)
  await romeo.host.event('message', ({ text }) => text.startsWith('Messages take 0 ms'))
})

test('!kick and !ban: out of the room, and back only after a kick', async () => {
  const room = parseRoom('nest')
  for (const [order, kind] of [
    ['!kick too loud', 'kicked'],
    ['!ban too loud', 'banned'],
  ] as const) {
    await enter(room)
    await say({ kind: 'room', room }, order)
    const { why } = await romeo.host.event('room-left', event => event.room === room)
    assert.deepEqual(why, { kind, actor: 'Polly', reason: 'too loud' })
  }
})

test('!say and !long: characters and lengths that nobody should send', async () => {
  await say(polly, '!say a\\u0003b\\ud800')
  await romeo.host.event('message', ({ text }) => text === 'a\u0003b\ud800')
  await say(polly, '!long 614400')
  await romeo.host.event('message', ({ text }) => text.length === 614_400)
})

test('!flood: that many lines, in order', async () => {
  await say(polly, '!flood 1000')
  await romeo.host.event('message', ({ text }) => text === 'line 1000')
  const lines = romeo.host.events.flatMap(event =>
    event.type === 'message' && /^line \d+$/.test(event.text) ? event.text : [],
  )
  assert.deepEqual(
    lines,
    Array.from({ length: 1000 }, (_, index) => `line ${index + 1}`),
  )
})

test('!disconnect: rooms are left, run() rejects with that failure', async () => {
  await enter(flock)
  await say(polly, '!disconnect unavailable')
  assert.equal((await romeo.over)?.code, 'unavailable')
  await romeo.host.event('room-left', ({ why }) => why.kind === 'disconnected')
  romeo = await signIn()
})

test('passwords that rehearse failures', async () => {
  await assert.rejects(signIn('wrong'), failsWith('wrong-credentials'))
  await assert.rejects(signIn('unreachable'), failsWith('unreachable'))
})

test('rooms that refuse, and the one that wants a password', async () => {
  const refusals = {
    locked: 'not-authorized',
    full: 'room-full',
    members: 'members-only',
    banned: 'not-allowed',
    nowhere: 'not-found',
  }
  for (const [name, code] of Object.entries(refusals)) {
    const room = parseRoom(name)
    await romeo.session.features.rooms?.join({ room, nick: 'Romeo' })
    const { why } = await romeo.host.event('room-left', event => event.room === room)
    assert.ok(why.kind === 'refused' && why.code === code, JSON.stringify(why))
  }
  await romeo.session.features.rooms?.join({ room: parseRoom('locked'), nick: 'Romeo', password: 'sesame' })
  await romeo.host.event('room-ready', ({ room }) => room === 'locked')
})

test('the same login elsewhere ends the first session with a conflict', async () => {
  const first = romeo
  romeo = await signIn()
  assert.equal((await first.over)?.code, 'conflict')
})

test('!swallow: that many lines are not repeated', async () => {
  await say(polly, '!swallow 2')
  for (const text of ['swallowed 1', 'swallowed 2', 'not swallowed']) await say(polly, text)
  await romeo.host.event('message', ({ text }) => text === 'not swallowed')
  assert.ok(!romeo.host.events.some(event => event.type === 'message' && event.text.startsWith('swallowed')))
})

test('!crash: refused unless the configuration permits it; then the process ends by an error that nobody catches', async () => {
  await assert.rejects(say(polly, '!crash'), failsWith('not-allowed'))
  const ending = spawn(process.execPath, [join(import.meta.dirname, 'crashing.ts')], {
    stdio: ['ignore', 'ignore', 'pipe'],
  })
  let said = ''
  ending.stderr.setEncoding('utf8').on('data', text => {
    said += text
  })
  const [code] = await once(ending, 'close')
  assert.equal(code, 1)
  assert.match(said, /The parrot ended this process on demand/)
})
