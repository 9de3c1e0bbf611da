import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { irc } from '@spectrum/irc'
import { SessionSnapshot } from '@spectrum/messages'
import type { Network } from '@spectrum/network'
import type { RunningService } from '@spectrum/service-kit'
import { freePort, IrcClient, type IrcServer, startNgircd, waitUntil } from '@spectrum/stack'
import { Neighbours } from './neighbours.ts'
import { workerHere } from './worker.ts'

let neighbours: Neighbours
let server: IrcServer
let worker: RunningService

before(async () => {
  neighbours = await Neighbours.start()
  server = await startNgircd()
  worker = await workerHere(neighbours.nats.url, { network: irc as unknown as Network }, [
    `--service.irc_server=127.0.0.1:${server.port}`,
    '--irc.flood_rate=0',
  ])
  await neighbours.addBackend(0)
})
after(async () => {
  await worker?.[Symbol.asyncDispose]()
  await server?.[Symbol.asyncDispose]()
  await neighbours?.[Symbol.asyncDispose]()
})

test('a conversation on an IRC server, both ways', async () => {
  await using mercutio = await IrcClient.connect({ port: server.port, nick: 'mercutio' })
  await mercutio.join('#verona')
  const user = 'romeo@example.org'
  await neighbours.register(user, 'romeo')
  neighbours.presence(user, 'orchard')
  neighbours.join(user, 'orchard', '#verona', 'romeo', 'j1')
  const joined = await neighbours.hears(user, /orchard: subject #verona «»/)
  const entrance = neighbours
    .told(user)
    .slice(0, joined)
    .filter(line => line.includes('#verona'))
  assert.deepEqual(entrance, [
    'orchard: here #verona/mercutio',
    'orchard: here #verona/romeo 110',
    'orchard: subject #verona «»',
  ])
  neighbours.say(user, 'orchard', '#verona', 'good morrow', 'm1')
  await neighbours.hears(user, /orchard: message #verona\/romeo «good morrow» id=m1/)
  await mercutio.waitFor(/:romeo!\S+ PRIVMSG #verona :good morrow/)
  mercutio.send('PRIVMSG #verona :good morrow, cousin')
  await neighbours.hears(user, /orchard: message #verona\/mercutio «good morrow, cousin»/)
  neighbours.chat(user, 'orchard', '#verona', 'in private', 'mercutio')
  await mercutio.waitFor(/:romeo!\S+ PRIVMSG mercutio :in private/)
  mercutio.send('PRIVMSG romeo :likewise')
  await neighbours.hears(user, /message .*mercutio «likewise»/)
  mercutio.send('KICK #verona romeo :enough')
  mercutio.send('NICK tybalt')
  await neighbours.hears(user, /orchard: gone #verona\/romeo 110,307|orchard: gone #verona\/mercutio 303/)
})

test('a channel key travels sealed; a wrong one is refused in the server’s words', async () => {
  await using mercutio = await IrcClient.connect({ port: server.port, nick: 'mercutio2' })
  await mercutio.join('#vault')
  mercutio.send('MODE #vault +k sesame')
  await mercutio.waitFor(/MODE #vault \+k/)
  const user = 'paris@example.org'
  await neighbours.register(user, 'paris')
  neighbours.presence(user, 'tomb')
  neighbours.join(user, 'tomb', '#vault', 'paris', 'j1', 'barley')
  await neighbours.hears(user, /tomb: refused #vault\/paris not-authorized/)
  neighbours.join(user, 'tomb', '#vault', 'paris', 'j2', 'sesame')
  await neighbours.hears(user, /tomb: here #vault\/paris 110/)
  const isKept = ({ rooms }: SessionSnapshot) =>
    rooms.some(room => room.resources.length > 0 && room.password !== undefined)
  await neighbours.stored(user, 0, isKept)
  await neighbours.stored(
    user,
    0,
    snapshot => !Buffer.from(SessionSnapshot.encode(snapshot).finish()).includes('sesame'),
  )
})

test('the wrong key of a second client does not replace the one that opened the room', async () => {
  await using other = await Neighbours.start()
  const start = () =>
    workerHere(other.nats.url, { network: irc as unknown as Network }, [
      `--service.irc_server=127.0.0.1:${server.port}`,
      '--irc.flood_rate=0',
    ])
  await using mercutio = await IrcClient.connect({ port: server.port, nick: 'mercutio3' })
  await mercutio.join('#safe')
  mercutio.send('MODE #safe +k sesame')
  await mercutio.waitFor(/MODE #safe \+k/)
  let first = await start()
  try {
    await other.addBackend(0)
    const user = 'laurence@example.org'
    await other.register(user, 'laurence')
    other.presence(user, 'cell')
    other.join(user, 'cell', '#safe', 'laurence', 'j1', 'sesame')
    await other.hears(user, /cell: here #safe\/laurence 110/)
    other.presence(user, 'phone')
    other.join(user, 'phone', '#safe', 'laurence', 'j2', 'barley')
    await other.hears(user, /phone: here #safe\/laurence 110/)
    await other.stored(user, 0, ({ rooms }) => rooms[0]?.resources.length === 2)
    await first[Symbol.asyncDispose]()
    await mercutio.waitFor(/:laurence!\S+ QUIT/)
    const before = other.told(user).length
    first = await start()
    other.say(user, 'cell', '#safe', 'still here', 'm1')
    await other.hears(user, /(«still here» id=m1|failed message m1)/, before)
    assert.deepEqual(
      other
        .told(user)
        .slice(before)
        .filter(line => /gone|refused|failed/.test(line)),
      [],
    )
  } finally {
    await first[Symbol.asyncDispose]()
  }
})

test('users may not make the gateway connect to itself', async () => {
  await using other = await Neighbours.start()
  const open = await workerHere(other.nats.url, { network: irc as unknown as Network })
  try {
    await other.addBackend(0)
    const user = 'tybalt@example.org'
    await other.register(user, 'tybalt')
    other.presence(user, 'street')
    for (const host of ['127.0.0.1', 'localhost', '127.1']) {
      const room = `#verona@${host}:${server.port}`
      other.join(user, 'street', room, 'tybalt')
      const name = room.replaceAll('.', '\\.')
      await other.hears(user, new RegExp(`street: refused ${name}/tybalt (not-allowed|bad-address)`))
    }
    assert.match(await open.metrics(), /spectrum_worker_egress_refused_total\{reason="private"\} [1-9]/)
  } finally {
    await open[Symbol.asyncDispose]()
  }
})

test('an IRC server that cannot be reached answers the join with an error', async () => {
  const port = await freePort()
  await using other = await Neighbours.start()
  const lonely = await workerHere(other.nats.url, { network: irc as unknown as Network }, [
    `--service.irc_server=127.0.0.1:${port}`,
  ])
  try {
    await other.addBackend(0)
    const user = 'juliet@example.org'
    await other.register(user, 'juliet')
    other.presence(user, 'balcony')
    other.join(user, 'balcony', '#verona', 'juliet', 'j1')
    const refused = await other.hears(user, /balcony: refused #verona\/juliet unreachable: .*refused/)
    // Whoever tries again later does not wait for the pause between attempts to end.
    await using late = await startNgircd({ port })
    await waitUntil(
      async () => {
        other.join(user, 'balcony', '#verona', 'juliet')
        return other.told(user).some((line, at) => at >= refused && /balcony: here #verona\/juliet 110/.test(line))
      },
      { deadlineMs: 15_000, everyMs: 1_000, describe: () => `${other.told(user).join('\n')}\n${late.log}` },
    )
  } finally {
    await lonely[Symbol.asyncDispose]()
  }
})
