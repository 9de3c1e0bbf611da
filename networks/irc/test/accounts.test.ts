import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { RoomId } from '@spectrum/network'
import { IrcClient, startNgircd, waitUntil } from '@spectrum/stack'
import { createConnector, GatewayUser } from './gateway-user.ts'
import { RawServer } from './raw-server.ts'
import { servers } from './servers.ts'

/** A server with SASL that takes one password; its list of capabilities comes in two lines. */
async function saslServer(verdict: (text: string) => string): Promise<RawServer> {
  const raw = await RawServer.start()
  raw.onNick = () => {}
  raw.onLine = (line, socket) => {
    const say = (...lines: string[]) => socket.write(lines.map(each => `:raw.example ${each}\r\n`).join(''))
    if (line === 'CAP LS 302') say('CAP * LS * :server-time', 'CAP * LS :sasl=EXTERNAL,PLAIN message-tags')
    else if (line.startsWith('CAP REQ')) say(`CAP * ACK ${line.slice('CAP REQ '.length)}`)
    else if (line === 'AUTHENTICATE PLAIN') socket.write('AUTHENTICATE +\r\n')
    else if (line.startsWith('AUTHENTICATE '))
      say(verdict(Buffer.from(line.slice('AUTHENTICATE '.length), 'base64').toString()))
    else if (line === 'CAP END') say('001 romeo :Welcome', '376 romeo :End')
  }
  return raw
}

test('a user with a password logs in by SASL, and no nick service gets it', async () => {
  await using raw = await saslServer(text =>
    text === 'romeo\0romeo\0open-sesame' ? '903 romeo :done' : '904 romeo :SASL authentication failed',
  )
  const { connector } = createConnector({ server: [`127.0.0.1:${raw.port}`] })
  const romeo = new GatewayUser(connector, 'romeo', 'open-sesame')
  await romeo.host.online()
  assert.ok(!raw.received.some(line => line.includes('PRIVMSG') || line.includes('open-sesame')))
  await romeo.stop()
})

test('what SASL refuses is a wrong password, with the words of the server', async () => {
  await using raw = await saslServer(() => '904 romeo :SASL authentication failed')
  const { connector } = createConnector({ server: [`127.0.0.1:${raw.port}`] })
  const romeo = new GatewayUser(connector, 'romeo', 'wrong-word')
  await romeo.ended()
  assert.ok(typeof romeo.outcome === 'object')
  assert.equal(romeo.outcome.code, 'wrong-credentials')
  assert.match(romeo.outcome.message, /SASL authentication failed/)
  assert.ok(!romeo.host.logged.join('\n').includes('wrong-word'))
})

for (const words of ['SASL authentication failed: services are unavailable', 'SASL request timed out']) {
  test(`a login is tried again when the server says “${words}”`, async () => {
    await using raw = await saslServer(() => `904 romeo :${words}`)
    const { connector } = createConnector({ server: [`127.0.0.1:${raw.port}`] })
    const romeo = new GatewayUser(connector, 'romeo', 'open-sesame')
    await romeo.ended()
    assert.equal((romeo.outcome as { code?: string }).code, 'unavailable')
  })
}

test('a login that fails before the password was sent says nothing of the password', async () => {
  await using raw = await saslServer(() => '903 romeo :done')
  const { onLine } = raw
  raw.onLine = (line, socket) => {
    if (line === 'AUTHENTICATE PLAIN') socket.write(':raw.example 904 romeo :SASL authentication failed\r\n')
    else onLine(line, socket)
  }
  const { connector } = createConnector({ server: [`127.0.0.1:${raw.port}`] })
  const romeo = new GatewayUser(connector, 'romeo', 'open-sesame')
  await romeo.ended()
  assert.equal((romeo.outcome as { code?: string }).code, 'unavailable')
})

test('a server without PLAIN lets the user in; the nick service gets the password', async () => {
  await using raw = await saslServer(() => '903 romeo :done')
  const { onLine } = raw
  raw.onLine = (line, socket) => {
    if (line === 'CAP LS 302') socket.write(':raw.example CAP * LS :sasl\r\n')
    else if (line === 'AUTHENTICATE PLAIN')
      socket.write(':raw.example 908 romeo EXTERNAL :are available\r\n:raw.example 904 romeo :failed\r\n')
    else onLine(line, socket)
  }
  const { connector } = createConnector({ server: [`127.0.0.1:${raw.port}`] })
  const romeo = new GatewayUser(connector, 'romeo', 'open-sesame')
  await romeo.host.online()
  await waitUntil(() => raw.received.includes('PRIVMSG NickServ :identify open-sesame'))
  await romeo.stop()
})

test('capabilities that are refused together are asked for one by one', async () => {
  await using raw = await saslServer(() => '903 romeo :done')
  const { onLine } = raw
  raw.onLine = (line, socket) => {
    const [, names = ''] = /^CAP REQ :?(.*)$/.exec(line) ?? []
    if (names.includes('message-tags')) socket.write(`:raw.example CAP * NAK :${names}\r\n`)
    else onLine(line, socket)
  }
  const { connector } = createConnector({ server: [`127.0.0.1:${raw.port}`] })
  const romeo = new GatewayUser(connector, 'romeo', 'open-sesame')
  await romeo.host.online()
  assert.ok(raw.received.includes('CAP REQ server-time'))
  assert.equal(raw.received.filter(line => line === 'CAP END').length, 1)
  assert.ok(!raw.received.some(line => line.includes('PRIVMSG')), 'SASL was used all the same')
  await romeo.stop()
})

test('who has an account gets the nick back from a ghost by the nick service, and hears nothing of it', async () => {
  await using raw = await saslServer(() => '903 romeo :done')
  const { onLine } = raw
  let isHeld = true
  raw.onLine = (line, socket) => {
    const say = (...lines: string[]): void => void socket.write(lines.map(each => `${each}\r\n`).join(''))
    if (line === 'CAP END') return say(':raw.example 001 romeo_ :Welcome', ':raw.example 376 romeo_ :End')
    if (line === 'NICK romeo' && isHeld) say(':raw.example 433 * romeo :Nickname is already in use')
    else if (line === 'NICK romeo') say(':romeo_!u@h NICK :romeo')
    else if (line === 'PRIVMSG NickServ :GHOST romeo') {
      isHeld = false
      say(':NickServ!s@h NOTICE romeo_ :romeo has been ghosted.', ':NickServ!s@h NOTICE romeo_ :Have a nice day.')
    } else if (line.startsWith('PRIVMSG NickServ')) say(':NickServ!s@h NOTICE romeo_ :Invalid command.')
    else onLine(line, socket)
  }
  const { connector } = createConnector({ server: [`127.0.0.1:${raw.port}`] })
  const romeo = new GatewayUser(connector, 'romeo', 'open-sesame')
  await romeo.host.online()
  await waitUntil(() => raw.received.filter(line => line === 'NICK romeo').length === 4)
  raw.say(':juliet!u@h PRIVMSG romeo :is it you?')
  await romeo.host.next('message', ({ text }) => text === 'is it you?')
  assert.deepEqual(
    raw.received.filter(line => line.startsWith('PRIVMSG')),
    ['REGAIN', 'RECOVER', 'GHOST'].map(command => `PRIVMSG NickServ :${command} romeo`),
  )
  assert.equal(romeo.host.events.length, 1, JSON.stringify(romeo.host.events))
  await romeo.stop()
})

test('a server without services: the user is not told that nobody is there to identify with', async () => {
  await using server = await startNgircd()
  await using witness = await IrcClient.connect({ port: server.port, nick: 'witness' })
  const { connector, counts } = createConnector({ server: [`127.0.0.1:${server.port}`] })
  const romeo = new GatewayUser(connector, 'romeo', 'open-sesame')
  await romeo.host.online()
  await waitUntil(() => counts.get('no-nick-service') === 1)
  witness.say('romeo', 'hello')
  await romeo.host.next('message')
  assert.deepEqual(
    romeo.host.events.map(({ type }) => type),
    ['message'],
  )
  await romeo.stop()
})

test('a nick that a ghost has is taken back at once when the ghost goes', async () => {
  await using server = await startNgircd()
  await using ghost = await IrcClient.connect({ port: server.port, nick: 'romeo' })
  await ghost.join('#balcony')
  const { connector } = createConnector({ server: [`127.0.0.1:${server.port}`] })
  const romeo = new GatewayUser(connector, 'romeo')
  await romeo.host.online()
  await romeo.join('#balcony')
  const joined = await romeo.host.next('room-joined')
  assert.equal(joined.nick, 'romeo_')
  await ghost[Symbol.asyncDispose]()
  await romeo.host.next('occupant', ({ change }) => change.kind === 'renamed' && change.to === 'romeo')
  await romeo.stop()
})

test('the nick that rooms knew is taken back, too, when its ghost goes', async () => {
  await using server = await startNgircd()
  await using ghost = await IrcClient.connect({ port: server.port, nick: 'Montague' })
  await ghost.join('#balcony')
  const { connector } = createConnector({ server: [`127.0.0.1:${server.port}`] })
  const romeo = new GatewayUser(connector, 'romeo')
  await romeo.host.online()
  romeo.rooms.join({ room: '#balcony' as RoomId, nick: 'Montague', isReturn: true })
  assert.equal((await romeo.host.next('room-joined')).nick, 'romeo')
  await ghost[Symbol.asyncDispose]()
  await romeo.host.next('occupant', ({ change }) => change.kind === 'renamed' && change.to === 'Montague')
  await romeo.stop()
})

for (const { name, start } of servers.filter(server => server.name === 'ergo')) {
  test(`an account of ${name} is logged in to by SASL`, async () => {
    await using server = await start()
    await using owner = await IrcClient.connect({ port: server.port, nick: 'romeo' })
    owner.send('NS REGISTER open-sesame')
    await owner.waitFor(/ 900 |ccount created/)
    await owner[Symbol.asyncDispose]()
    const { connector } = createConnector({ server: [`127.0.0.1:${server.port}`] })
    const romeo = new GatewayUser(connector, 'romeo', 'open-sesame')
    await romeo.host.online()
    await romeo.stop()
    const paris = new GatewayUser(connector, 'romeo', 'not-sesame')
    await paris.ended()
    assert.equal((paris.outcome as { code?: string }).code, 'wrong-credentials')
  })
}
