import assert from 'node:assert/strict'
import { after, afterEach, before, beforeEach, test } from 'node:test'
import { irc } from '@spectrum/irc'
import type { Network } from '@spectrum/network'
import type { RunningService } from '@spectrum/service-kit'
import { IrcClient, type IrcServer, startNgircd } from '@spectrum/stack'
import { Neighbours } from './neighbours.ts'
import { workerHere } from './worker.ts'

let server: IrcServer
let neighbours: Neighbours
let worker: RunningService | undefined
const user = 'romeo@example.org'
const room = '#verona'

before(async () => {
  server = await startNgircd()
})
after(async () => {
  await server?.[Symbol.asyncDispose]()
})
beforeEach(async () => {
  neighbours = await Neighbours.start()
  await neighbours.addBackend(0)
})
afterEach(async () => {
  await worker?.[Symbol.asyncDispose]()
  await neighbours[Symbol.asyncDispose]()
})

async function restart(ghostMs: number): Promise<void> {
  await worker?.[Symbol.asyncDispose]()
  const more = [`--service.irc_server=127.0.0.1:${server.port}`, '--irc.flood_rate=0']
  const limits = { firstRetryMs: 100, lastRetryMs: 500, ghostMs }
  worker = await workerHere(neighbours.nats.url, { network: irc as unknown as Network, limits }, more)
}

/** Romeo is in the room; then his connection is gone, and somebody who does not answer has his nick there. */
async function haunted(mercutio: IrcClient, ghostMs: number): Promise<{ ghost: IrcClient; joined: number }> {
  await mercutio.join(room)
  await restart(ghostMs)
  await neighbours.register(user, 'romeo')
  neighbours.presence(user, 'orchard')
  neighbours.join(user, 'orchard', room, 'romeo')
  const joined = await neighbours.hears(user, new RegExp(`orchard: subject ${room}`))
  await neighbours.stored(user, 0, ({ rooms }) => rooms[0]?.occupants[0] === 'mercutio' && rooms[0].ownLook !== '')
  await worker?.[Symbol.asyncDispose]()
  await mercutio.waitFor(/^:romeo!\S+ QUIT/)
  const ghost = await IrcClient.connect({ port: server.port, nick: 'romeo' })
  await ghost.join(room)
  await restart(ghostMs)
  await mercutio.waitFor(/^:romeo_!\S+ JOIN/)
  return { ghost, joined }
}

const since = (from: number) =>
  neighbours
    .told(user)
    .slice(from)
    .filter(line => !line.startsWith('bare: '))

test('a ghost has the nick for a while: clients go on under their own and are never told', async () => {
  await using mercutio = await IrcClient.connect({ port: server.port, nick: 'mercutio' })
  const { ghost, joined } = await haunted(mercutio, 60_000)
  await neighbours.stored(user, 0, ({ rooms }) => (rooms[0]?.ghostUntilMs ?? 0) > 0 && rooms[0]?.nick === 'romeo')
  neighbours.say(user, 'orchard', room, 'still here', 'm1')
  await mercutio.waitFor(/^:romeo_!\S+ PRIVMSG #verona :still here/)
  mercutio.say(room, 'romeo_: welcome')
  await neighbours.hears(user, /«romeo_: welcome»/, joined)
  mercutio.send('MODE #verona +v romeo_')
  mercutio.send('MODE #verona +v romeo')
  await neighbours.hears(user, /here #verona\/romeo 110/, joined)
  neighbours.presence(user, 'phone')
  neighbours.join(user, 'phone', room, 'romeo')
  await neighbours.hears(user, /phone: subject #verona/, joined)
  await ghost[Symbol.asyncDispose]()
  await mercutio.waitFor(/^:romeo_!\S+ NICK :?romeo/, { deadlineMs: 30_000 })
  await neighbours.stored(user, 0, ({ rooms }) => rooms[0]?.ghostUntilMs === 0 && rooms[0].nick === 'romeo')
  neighbours.say(user, 'orchard', room, 'that is me', 'm2')
  await mercutio.waitFor(/^:romeo!\S+ PRIVMSG #verona :that is me/)
  await neighbours.hears(user, /«that is me»/, joined)
  assert.deepEqual(
    since(joined).filter(line => line.includes(room)),
    [
      'orchard: message #verona/romeo «still here» id=m1',
      'orchard: message #verona/mercutio «romeo_: welcome»',
      // The voice that mercutio gave to romeo_.
      'orchard: here #verona/romeo 110',
      'phone: here #verona/mercutio',
      'phone: here #verona/romeo 110',
      'phone: subject #verona «»',
      'orchard+phone: message #verona/romeo «that is me» id=m2',
    ],
  )
})

test('a ghost that stays: after the time clients are told their nick and see the ghost, also when another worker goes on', async () => {
  await using mercutio = await IrcClient.connect({ port: server.port, nick: 'mercutio' })
  const { ghost, joined } = await haunted(mercutio, 6_000)
  await using _ = ghost
  let until = 0
  await neighbours.stored(user, 0, ({ rooms }) => {
    until = rooms[0]?.ghostUntilMs ?? 0
    return until > 0
  })
  await restart(6_000)
  await mercutio.waitFor(/^:romeo_!\S+ JOIN/)
  await neighbours.stored(user, 0, ({ rooms }) => rooms[0]?.ghostUntilMs === until)
  await neighbours.hears(user, /here #verona\/romeo$/, joined)
  const atMs = Date.now()
  assert.ok(atMs >= until && atMs < until + 5_000, `told ${atMs - until} ms after the deadline`)
  neighbours.say(user, 'orchard', room, 'under another name', 'm1')
  await neighbours.hears(user, /«under another name»/, joined)
  assert.deepEqual(
    since(joined).filter(line => line.includes(room)),
    [
      'orchard: gone #verona/romeo 303,110 -> romeo_',
      'orchard: here #verona/romeo_ 110,210',
      'orchard: here #verona/romeo',
      'orchard: message #verona/romeo_ «under another name» id=m1',
    ],
  )
})

test('the rank that the user has lost in an outage is told, once', async () => {
  await using mercutio = await IrcClient.connect({ port: server.port, nick: 'mercutio' })
  await mercutio.join(room)
  await restart(60_000)
  await neighbours.register(user, 'romeo')
  neighbours.presence(user, 'orchard')
  neighbours.join(user, 'orchard', room, 'romeo')
  const joined = await neighbours.hears(user, new RegExp(`orchard: subject ${room}`))
  mercutio.send(`MODE ${room} +o romeo`)
  const from = await neighbours.hears(user, /here #verona\/romeo 110/, joined)
  await neighbours.stored(user, 0, ({ rooms }) => rooms[0]?.ownLook.includes('moderator') === true)
  await restart(60_000)
  mercutio.say(room, 'welcome back')
  await neighbours.hears(user, /here #verona\/romeo 110/, from)
  neighbours.say(user, 'orchard', room, 'thanks', 'm1')
  await neighbours.hears(user, /«thanks»/, from)
  assert.deepEqual(
    since(from).filter(line => line.includes(room) && !line.includes('welcome')),
    ['orchard: here #verona/romeo 110', 'orchard: message #verona/romeo «thanks» id=m1'],
  )
})

test('whoever speaks under the nick is no ghost: clients are told at once', async () => {
  await using mercutio = await IrcClient.connect({ port: server.port, nick: 'mercutio' })
  const { ghost, joined } = await haunted(mercutio, 60_000)
  await using _ = ghost
  neighbours.say(user, 'orchard', room, 'hello?', 'm1')
  await neighbours.hears(user, /«hello\?»/, joined)
  ghost.say(room, 'I am Romeo')
  await neighbours.hears(user, /«I am Romeo»/, joined)
  assert.deepEqual(
    since(joined).filter(line => line.includes(room)),
    [
      'orchard: message #verona/romeo «hello?» id=m1',
      'orchard: gone #verona/romeo 303,110 -> romeo_',
      'orchard: here #verona/romeo_ 110,210',
      'orchard: here #verona/romeo',
      'orchard: message #verona/romeo «I am Romeo»',
    ],
  )
})

test('a new nick of the user’s own choice is told, from the one that clients knew', async () => {
  await using mercutio = await IrcClient.connect({ port: server.port, nick: 'mercutio' })
  const { ghost, joined } = await haunted(mercutio, 60_000)
  await using _ = ghost
  neighbours.say(user, 'orchard', room, 'hello?', 'm1')
  await neighbours.hears(user, /«hello\?»/, joined)
  const value = {
    room: { name: room, node: room, resource: 'montague' },
    hasMucElement: false,
    inDoubt: false,
    show: 0 as const,
    status: '',
  }
  neighbours.send(user, 'orchard', { $case: 'joinRoom', value: { ...value, password: undefined } })
  await neighbours.hears(user, /here #verona\/montague/, joined)
  neighbours.say(user, 'orchard', room, 'renamed', 'm2')
  await neighbours.hears(user, /«renamed»/, joined)
  assert.deepEqual(
    since(joined).filter(line => line.includes(room)),
    [
      'orchard: message #verona/romeo «hello?» id=m1',
      'orchard: gone #verona/romeo 303,110 -> montague',
      'orchard: here #verona/montague 110',
      'orchard: here #verona/romeo',
      'orchard: message #verona/montague «renamed» id=m2',
    ],
  )
})
