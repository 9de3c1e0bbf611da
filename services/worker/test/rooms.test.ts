import assert from 'node:assert/strict'
import { after, before, beforeEach, test } from 'node:test'
import { Show } from '@spectrum/messages'
import type { RunningService } from '@spectrum/service-kit'
import { Neighbours } from './neighbours.ts'
import { workerHere } from './worker.ts'

let neighbours: Neighbours
let worker: RunningService & { metrics(): Promise<string> }
let count = 0
let user = ''
let nick = ''

before(async () => {
  neighbours = await Neighbours.start()
  worker = await workerHere(neighbours.nats.url, { limits: { firstRetryMs: 50, answerMs: 2_000 } })
  await neighbours.addBackend(0)
})
after(async () => {
  await worker?.[Symbol.asyncDispose]()
  await neighbours?.[Symbol.asyncDispose]()
})
beforeEach(async () => {
  nick = `juliet${++count}`
  user = `${nick}@example.org`
  await neighbours.register(user, nick)
  neighbours.presence(user, 'balcony')
})

/** What was told of a room in that order, from a line on. */
const about = (room: string, to: string, from = 0): string[] =>
  neighbours
    .told(user)
    .slice(from)
    .filter(line => line.startsWith(`${to}: `) && line.includes(` ${room}`))

test('a second resource sees occupants, itself and the subject, and nothing is told twice to the first', async () => {
  neighbours.join(user, 'balcony', 'flock', nick, 'j1')
  const first = await neighbours.hears(user, /balcony: subject flock/)
  neighbours.presence(user, 'phone')
  neighbours.join(user, 'phone', 'flock', 'somebody', 'j2')
  await neighbours.hears(user, /phone: subject flock/, first)
  const entrance = about('flock', 'phone')
  assert.match(entrance[0] ?? '', /here flock\/Polly$/)
  assert.match(entrance.at(-2) ?? '', new RegExp(`here flock/${nick} 110,210$`))
  assert.match(entrance.at(-1) ?? '', /subject flock/)
  assert.deepEqual(
    about('flock/', 'balcony', first).filter(line => line.includes('here')),
    [],
  )

  neighbours.say(user, 'phone', 'flock', 'both hear', 'm1')
  await neighbours.hears(user, /balcony\+phone: message flock\/\S+ «both hear» id=m1/)

  neighbours.leave(user, 'phone', 'flock', nick)
  const left = await neighbours.hears(user, new RegExp(`phone: gone flock/${nick} 110`))
  neighbours.say(user, 'balcony', 'flock', 'still here', 'm2')
  await neighbours.hears(user, /balcony: message flock\/\S+ «still here» id=m2/, left)
  neighbours.say(user, 'phone', 'flock', 'not allowed', 'm3')
  await neighbours.hears(user, /phone: failed message m3 flock not-joined/)
})

test('a self-ping tells who is in the room, and who is not', async () => {
  neighbours.selfPing(user, 'balcony', 'flock', nick, 'p1')
  neighbours.join(user, 'balcony', 'flock', nick)
  await neighbours.hears(user, /balcony: failed iq p1 flock\/\S+ not-joined/)
  await neighbours.hears(user, /balcony: subject flock/)
  neighbours.selfPing(user, 'balcony', 'flock', nick, 'p2')
  await neighbours.hears(user, new RegExp(`balcony: in flock/${nick} p2`))
  neighbours.selfPing(user, 'phone', 'flock', nick, 'p3')
  await neighbours.hears(user, /phone: failed iq p3 flock\/\S+ not-joined/)
  neighbours.selfPing(user, 'balcony', 'nest', nick, 'p4')
  await neighbours.hears(user, /balcony: failed iq p4 nest\/\S+ not-joined/)
  neighbours.presence(user, 'balcony', Show.SHOW_OFFLINE)
  await neighbours.hears(user, /bare: gateway 6/)
  neighbours.selfPing(user, 'balcony', 'flock', nick, 'p5')
  await neighbours.hears(user, /balcony: failed iq p5 flock\/\S+ not-joined/)
})

test('a sender without a resource has the empty one: it joins, hears itself and leaves like any other', async () => {
  neighbours.join(user, '', 'flock', nick, 'j1')
  const joined = await neighbours.hears(user, /^: subject flock/)
  neighbours.say(user, '', 'flock', 'beep', 'm1')
  await neighbours.hears(user, /^: message flock\/\S+ «beep» id=m1/, joined)
  neighbours.presence(user, '', Show.SHOW_OFFLINE)
  await neighbours.hears(user, new RegExp(`^: gone flock/${nick} 110`), joined)
})

test('a nick change while joined is told with 303, and others of the room see it', async () => {
  neighbours.join(user, 'balcony', 'flock', nick)
  await neighbours.hears(user, /balcony: subject flock/)
  neighbours.join(user, 'balcony', 'flock', `${nick}-away`)
  const changed = await neighbours.hears(user, new RegExp(`balcony: gone flock/${nick} 303,110 -> ${nick}-away`))
  await neighbours.hears(user, new RegExp(`balcony: here flock/${nick}-away 110`), changed)
})

test('a private message goes to the occupant and its answer comes from there', async () => {
  neighbours.join(user, 'balcony', 'flock', nick)
  await neighbours.hears(user, /balcony: subject flock/)
  neighbours.chat(user, 'balcony', 'flock', 'psst', 'Polly')
  await neighbours.hears(user, /balcony: private message flock\/Polly «.*psst.*»/)
})

test('a kick is told with 307 and ends the membership', async () => {
  neighbours.join(user, 'balcony', 'flock', nick)
  await neighbours.hears(user, /balcony: subject flock/)
  neighbours.say(user, 'balcony', 'flock', '!kick out')
  const kicked = await neighbours.hears(user, new RegExp(`balcony: gone flock/${nick} 110,307`))
  neighbours.say(user, 'balcony', 'flock', 'am I still here?', 'm9')
  await neighbours.hears(user, /balcony: failed message m9 flock not-joined/, kicked)
})

test('after a short loss of the network clients are told nothing of themselves, and messages wait', async () => {
  neighbours.join(user, 'balcony', 'flock', nick)
  const joined = await neighbours.hears(user, /balcony: subject flock/)
  neighbours.say(user, 'balcony', 'flock', '!disconnect unreachable')
  neighbours.say(user, 'balcony', 'flock', 'after the storm', 'm1')
  await neighbours.hears(user, /balcony: message flock\/\S+ «after the storm» id=m1/, joined)
  const since = neighbours.told(user).slice(joined)
  assert.deepEqual(
    since.filter(line => /gateway|here|gone|subject/.test(line)),
    [],
  )
})

test('wrong credentials end the session with words from the gateway', async () => {
  neighbours.join(user, 'balcony', 'flock', nick)
  await neighbours.hears(user, /balcony: subject flock/)
  neighbours.say(user, 'balcony', 'flock', '!disconnect wrong-credentials')
  const said = await neighbours.hears(user, /bare: message +«.+»/)
  await neighbours.hears(user, /bare: gateway 6/, said)
  neighbours.say(user, 'balcony', 'flock', 'hello?', 'm4')
  await neighbours.hears(user, /balcony: failed message m4 flock signed-out/)
})

test('joins that cannot be: no nick, names that no room has, a network that does not answer', async () => {
  neighbours.join(user, 'balcony', 'flock', '', 'n1')
  await neighbours.hears(user, /balcony: refused flock bad-address/)
  neighbours.join(user, 'balcony', 'a b\nc', nick, 'n2')
  await neighbours.hears(user, /balcony: refused a b\nc\/\S+ bad-address/)
  neighbours.chat(user, 'balcony', 'polly', '!slow 100s')
  await neighbours.hears(user, /message polly «Messages take/)
  neighbours.join(user, 'balcony', 'nest', nick, 'n3')
  await neighbours.hears(user, /balcony: refused nest\/\S+ unreachable/)
})

test('unavailable presence of the only resource leaves rooms and signs out; a join alone signs in again', async () => {
  neighbours.join(user, 'balcony', 'flock', nick)
  await neighbours.hears(user, /balcony: subject flock/)
  neighbours.presence(user, 'balcony', Show.SHOW_OFFLINE)
  const out = await neighbours.hears(user, /bare: gateway 6/)
  neighbours.join(user, 'phone', 'flock', nick)
  const subject = await neighbours.hears(user, /phone: subject flock/, out)
  neighbours.leave(user, 'phone', 'flock', nick)
  await neighbours.hears(user, /bare: gateway 6/, subject)
})

test('presence is echoed to a resource only when it changed for it', async () => {
  await neighbours.hears(user, /balcony: gateway 0/)
  for (let i = 0; i < 5; i++) neighbours.presence(user, 'balcony')
  neighbours.presence(user, 'phone')
  neighbours.presence(user, 'balcony', Show.SHOW_AWAY)
  neighbours.presence(user, 'phone', Show.SHOW_AWAY)
  await neighbours.hears(user, /balcony\+phone: gateway 2|phone: gateway 2/)
  const lines = neighbours.told(user).filter(line => line.includes('gateway 0'))
  assert.deepEqual(lines, ['balcony: gateway 0', 'phone: gateway 0'])
})
