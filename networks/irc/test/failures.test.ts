import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import type { RoomId } from '@spectrum/network'
import { freePort, IrcClient, startInspircd, startNgircd, waitUntil } from '@spectrum/stack'
import fc from 'fast-check'
import { contact, createConnector, GatewayUser, room } from './gateway-user.ts'
import { RawServer } from './raw-server.ts'

describe('servers that fail', { timeout: 120_000 }, () => {
  test('unreachable: the connection is given up with a reason, and the next server is tried', async () => {
    const dead = `127.0.0.1:${await freePort()}`
    const alone = new GatewayUser(createConnector({ server: [dead] }).connector, 'romeo')
    await alone.ended()
    assert.ok(typeof alone.outcome === 'object')
    assert.equal(alone.outcome.code, 'unreachable')
    assert.deepEqual(alone.host.states, ['connecting'])
    assert.equal(alone.host.targets[0]?.namedBy, 'operator')

    await using server = await startNgircd()
    const { connector } = createConnector({ server: [`${dead} 127.0.0.1:${server.port}`] })
    const lucky = new GatewayUser(connector, 'romeo')
    await lucky.host.online()
    const second = new GatewayUser(connector, 'juliet')
    await second.host.online()
    assert.equal(second.host.targets.length, 1)
    await Promise.all([lucky.stop(), second.stop()])
  })

  test('a nick that is taken: another one, told in room-joined', async () => {
    await using server = await startNgircd()
    await using other = await IrcClient.connect({ port: server.port, nick: 'romeo' })
    const user = new GatewayUser(createConnector({ server: [`127.0.0.1:${server.port}`] }).connector, 'romeo')
    await user.join('#verona')
    assert.equal((await user.host.next('room-joined')).nick, 'romeo_')
    assert.deepEqual(
      user.occupants('#verona').map(({ nick, self }) => [nick, self]),
      [['romeo_', true]],
    )
    assert.ok(!other.isClosed)
    await user.stop()
  })

  test('a server password: sent when so configured, else refused as wrong credentials', async () => {
    for (const start of [startNgircd, startInspircd]) {
      await using server = await start({ password: 'open-sesame' })
      const with_ = new GatewayUser(
        createConnector({ server: [`127.0.0.1:${server.port}`], sendPass: true }).connector,
        'romeo',
        'open-sesame',
      )
      await with_.host.online()
      await with_.stop()
      const without = new GatewayUser(createConnector({ server: [`127.0.0.1:${server.port}`] }).connector, 'romeo')
      await without.ended()
      assert.ok(typeof without.outcome === 'object')
      assert.match(without.outcome.code, /wrong-credentials|not-allowed|unreachable/)
      assert.match(without.outcome.message, /password|denied/i)
    }
  })

  test('identifies with the nick service before joining anything', async () => {
    await using server = await startNgircd()
    await using service = await IrcClient.connect({ port: server.port, nick: 'NickServ' })
    const user = new GatewayUser(
      createConnector({ server: [`127.0.0.1:${server.port}`] }).connector,
      'romeo',
      's3cret word',
    )
    await service.waitFor(/^:romeo!\S+ PRIVMSG NickServ :identify s3cret word$/i)
    await user.host.online()
    assert.ok(
      ![...user.host.logged, ...user.host.events.map(event => JSON.stringify(event))].some(line =>
        line.includes('s3cret'),
      ),
    )
    await user.stop()
  })

  test('the server goes away: run() rejects, and what is said then is refused', async () => {
    const server = await startNgircd()
    const user = new GatewayUser(createConnector({ server: [`127.0.0.1:${server.port}`] }).connector, 'romeo')
    await user.join('#verona')
    await server[Symbol.asyncDispose]()
    await user.ended()
    assert.ok(typeof user.outcome === 'object')
    assert.equal(user.outcome.code, 'unreachable')
    await assert.rejects(user.say(room('#verona'), 'hello?'), { name: 'NetworkError' })
    assert.deepEqual(user.occupants('#verona'), [])
  })

  test('bans and throttles keep the server’s words', async () => {
    await using raw = await RawServer.start()
    for (const [words, code] of [
      ['Closing Link: romeo[127.0.0.1] (G-Lined: no gateways)', 'not-allowed'],
      ['Your host is trying to (re)connect too fast -- throttled', 'rate-limited'],
    ] as const) {
      raw.onNick = (_, socket) => void socket.end(`ERROR :${words}\r\n`)
      const user = new GatewayUser(createConnector({ server: [`127.0.0.1:${raw.port}`] }).connector, 'romeo')
      await user.ended()
      assert.ok(typeof user.outcome === 'object')
      assert.equal(user.outcome.code, code)
      assert.ok(user.outcome.message.includes(words))
    }
  })

  test('flood control: a burst, then the rate; PING is answered meanwhile; leaving does not wait', async () => {
    await using raw = await RawServer.start()
    raw.onNick = (_, socket) => void socket.write(':raw.example 001 me :Welcome\r\n:raw.example 376 me :End\r\n')
    const user = new GatewayUser(
      createConnector({ server: [`127.0.0.1:${raw.port}`], floodBurst: 5, floodRate: 10 }).connector,
      'me',
    )
    await user.host.online()
    const sent = user.say(contact('you'), Array.from({ length: 10 }, (_, i) => `line ${i}`).join('\n'))
    await waitUntil(() => raw.received.includes('PRIVMSG you :line 4'))
    raw.say('PING :are you there')
    await waitUntil(() => raw.received.includes('PONG :are you there'))
    assert.ok(!raw.received.includes('PRIVMSG you :line 9'))
    await sent
    await waitUntil(() => raw.received.includes('PRIVMSG you :line 9'))
    const rejected = assert.rejects(user.say(contact('you'), 'x\n'.repeat(200)), { name: 'NetworkError' })
    await user.stop('bye')
    await rejected
    await waitUntil(() => raw.received.includes('QUIT bye'))
  })

  test('what no server should send harms nobody', async () => {
    await using raw = await RawServer.start()
    raw.onNick = (_, socket) => void socket.write(':raw.example 001 me :Welcome\r\n:raw.example 376 me :End\r\n')
    const { connector, counts } = createConnector({ server: [`127.0.0.1:${raw.port}`] })
    const user = new GatewayUser(connector, 'me')
    await user.host.online()
    await user.join('#x')
    raw.say(
      ':boss!u@h PRIVMSG #x :\x03\x03\x03bell\x07 nul\0 bs\b esc\x1b end',
      Buffer.from(':boss!u@h PRIVMSG #x :gr\xfc\xdfe', 'latin1'),
      Buffer.concat([Buffer.from(':boss!u@h PRIVMSG #x :'), Buffer.alloc(600 * 1024, 0x61)]),
      '',
      ' ',
      ':',
      ':x',
      '@',
      '@a=b',
      'PRIVMSG',
      'PRIVMSG #x',
      ':b\x01ss!u@h PRIVMSG #x :evil nick',
      ':a,b!u@h PRIVMSG #x :evil nick',
      ':boss!u@h JOIN',
      ':boss!u@h KICK',
      ':boss!u@h MODE #x',
      ':boss!u@h MODE #x +oooooo',
      ':boss!u@h NICK',
      ':boss!u@h NICK :a b',
      '353',
      ':s 353 me = #x',
      ':s 333 me #x boss notatime',
      ':s 332 me #x',
      ':s 324 me #x',
      'CAP',
      'CAP * ACK',
      '005',
      ':s 005 me PREFIX=(ov)@ CHANMODES LINELEN=abc :x',
      'BATCH',
      '999 me',
      ':me!u@h JOIN #unasked',
      ':boss!u@h PRIVMSG #x :\x01',
      ':boss!u@h PRIVMSG #x :\x01ACTION',
      ':boss!u@h PRIVMSG me :\x01DCC SEND\x01',
      ':boss!u@h PRIVMSG #x :the end',
    )
    await user.host.next('message', event => event.text === 'the end')
    const texts = user.host.events.flatMap(event => (event.type === 'message' ? [event.text] : []))
    assert.deepEqual(texts.slice(0, 2), ['bell nul bs esc end', 'grüße'])
    assert.ok(texts[2]?.startsWith('aaa') && texts[2].length <= 16 * 1024)
    assert.equal(texts.length, 4)
    for (const event of user.host.events) assert.doesNotMatch(JSON.stringify(event), /\\u00[01]|evil/)
    assert.equal(counts.get('line-too-long'), 1)
    assert.equal(counts.get('malformed-source'), 2)
    assert.equal(counts.get('join-not-asked-for'), 1)
    assert.equal(counts.get('line-failed'), undefined)
    await waitUntil(() => raw.received.includes('PART #unasked'))
    assert.equal(user.outcome, undefined)
    await user.stop()
  })

  test('no line that can be made up breaks a session', async () => {
    await using raw = await RawServer.start()
    raw.onNick = (_, socket) => void socket.write(':raw.example 001 me :Welcome\r\n:raw.example 376 me :End\r\n')
    const { connector, counts } = createConnector({ server: [`127.0.0.1:${raw.port}`] })
    const user = new GatewayUser(connector, 'me')
    await user.host.online()
    await user.join('#x')
    const numerics = [
      '005',
      '324',
      '331',
      '332',
      '333',
      '353',
      '366',
      '396',
      '401',
      '403',
      '433',
      '442',
      '470',
      '471',
      '482',
    ]
    const words = [
      'JOIN',
      'PART',
      'KICK',
      'MODE',
      'NICK',
      'QUIT',
      'TOPIC',
      'NOTICE',
      'PRIVMSG',
      'INVITE',
      'AWAY',
      'ACCOUNT',
      'CAP',
      'PING',
      'PONG',
      'BATCH',
    ]
    const source = fc.constantFrom(
      '',
      ':me!u@h ',
      ':boss!u@h ',
      ':eve!u@h ',
      ':raw.example ',
      ':! ',
      ':@ ',
      ':#x ',
      '@time=x;msgid= :eve!u@h ',
      '@time=2020-01-01T00:00:00Z :eve!u@h ',
    )
    const params = [
      '#x',
      '#y',
      'me',
      'boss',
      'eve',
      '*',
      '=',
      '+o',
      '-ov+m',
      '+kl',
      'PREFIX=(qo)~@',
      'CASEMAPPING=x',
      'LS',
      'DEL',
      ':',
      ':@boss +eve me',
      ':\x01VERSION\x01',
      ':\x01ACTION',
      ':\x03\x0399,1\x02x',
      '@#x',
      '0',
      '',
    ]
    const line = fc.tuple(
      source,
      fc.constantFrom(...words, ...numerics),
      fc.array(fc.constantFrom(...params), { maxLength: 5 }),
    )
    const lines = fc.sample(line, { numRuns: 20_000, seed: 7 })
    raw.say(lines.map(([from, command, rest]) => `${from}${command} ${rest.join(' ')}`).join('\r\n'))
    raw.say(':final!u@h PRIVMSG me :the end')
    await user.host.next('message', event => event.text === 'the end', { deadlineMs: 60_000 })
    assert.equal(counts.get('line-failed'), undefined, user.host.logged.join('\n'))
    assert.equal(user.outcome, undefined)
    assert.ok(!raw.received.some(each => !/^(CAP|NICK|USER|JOIN|PART|PONG|MODE|NOTICE|PING) ?/.test(each)))
    await user.stop()
  })

  test('a server that never answers is given up', async () => {
    await using raw = await RawServer.start()
    raw.onNick = () => {}
    const user = new GatewayUser(createConnector({ server: [`127.0.0.1:${raw.port}`] }).connector, 'me')
    await waitUntil(() => raw.received.some(line => line.startsWith('USER ')))
    const started = performance.now()
    await user.stop()
    assert.ok(performance.now() - started < 5_000)
    assert.equal(user.outcome, 'ended')
  })
})

describe('what was said and is refused', { timeout: 120_000 }, () => {
  test('to nobody: each message that it was, whatever its lines, and in the server’s words', async () => {
    for (const start of [startNgircd, startInspircd]) {
      await using server = await start()
      const user = new GatewayUser(createConnector({ server: [`127.0.0.1:${server.port}`] }).connector, 'romeo')
      await user.host.online()
      await user.say(contact('Nobody'), 'one\ntwo\nthree')
      await user.say(contact('nobody'), 'four')
      for (const key of ['k1', 'k2']) {
        const failed = await user.host.next('message-failed', event => event.key === key)
        assert.equal(failed.code, 'not-found')
        assert.match(failed.text, /no such/i)
      }
      // A later answer shows that all four refusals came.
      await user.join('#verona')
      assert.equal(user.host.events.filter(event => event.type === 'message-failed').length, 2)
      assert.ok(!user.host.events.some(event => event.type === 'notice' && /no such/i.test(event.text)))
      await user.stop()
    }
  })

  test('in a channel that does not let one speak: the newest message to it', async () => {
    await using server = await startNgircd()
    await using boss = await IrcClient.connect({ port: server.port, nick: 'boss' })
    await boss.join('#verona')
    const user = new GatewayUser(createConnector({ server: [`127.0.0.1:${server.port}`] }).connector, 'romeo')
    await user.join('#verona')
    await user.say(room('#verona'), 'heard')
    await boss.waitFor(/PRIVMSG #verona :heard/)
    boss.send('MODE #verona +m')
    await user.host.next('room-facts', event => event.facts.isModerated === true)
    await user.say(room('#verona'), 'not heard')
    const failed = await user.host.next('message-failed')
    assert.deepEqual([failed.key, failed.code, failed.chat], ['k2', 'not-allowed', room('#verona')])
    await user.stop()
  })
})

describe('coming back', { timeout: 120_000 }, () => {
  const back = (name: string, nick: string) => ({ room: name as RoomId, nick, isReturn: true })

  test('under the nick that the rooms knew, before they see another', async () => {
    await using server = await startNgircd()
    await using other = await IrcClient.connect({ port: server.port, nick: 'other' })
    await other.join('#verona')
    const user = new GatewayUser(createConnector({ server: [`127.0.0.1:${server.port}`] }).connector, 'romeo')
    await user.host.online()
    for (const name of ['#verona', '#mantua']) user.rooms.join(back(name, 'Montague'))
    for (const name of ['#verona', '#mantua'])
      assert.equal((await user.host.next('room-joined', event => event.room === name)).nick, 'Montague')
    await other.waitFor(/^:Montague!\S+ JOIN/)
    assert.ok(!user.host.events.some(event => event.type === 'occupant' && event.change.kind === 'renamed'))
    await user.stop()
  })

  test('the nick is gone, or was only a stopgap: in as well as can be', async () => {
    await using server = await startNgircd()
    await using other = await IrcClient.connect({ port: server.port, nick: 'montague' })
    const { connector, counts } = createConnector({ server: [`127.0.0.1:${server.port}`] })
    const user = new GatewayUser(connector, 'romeo')
    await user.host.online()
    user.rooms.join(back('#verona', 'Montague'))
    assert.equal((await user.host.next('room-joined')).nick, 'romeo')
    assert.equal(counts.get('nick-not-regained'), 1)
    assert.ok(!other.isClosed)
    user.rooms.join(back('#mantua', 'romeo_'))
    assert.equal((await user.host.next('room-joined', event => event.room === '#mantua')).nick, 'romeo')
    await user.stop()
  })
})

describe('servers that the user names', { timeout: 120_000 }, () => {
  test('rooms and contacts carry their server; one connection to each', async () => {
    await using one = await startNgircd()
    await using two = await startNgircd()
    const { connector } = createConnector({})
    const user = new GatewayUser(connector, 'romeo')
    await user.host.online()
    assert.equal(user.host.targets.length, 0)
    const [a, b] = [`#verona@127.0.0.1,${one.port}`, `#mantua@127.0.0.1,${two.port}`]
    assert.equal(connector.parseRoom(a), a)
    await Promise.all([user.join(a), user.join(b)])
    assert.deepEqual(
      user.host.targets.map(target => target.namedBy),
      ['user', 'user'],
    )
    await using friend = await IrcClient.connect({ port: two.port, nick: 'Friar' })
    await friend.join('#mantua')
    await user.host.next('occupant', event => event.room === b && event.occupant.user === `friar@127.0.0.1,${two.port}`)
    await user.say(room(b), 'poison, please')
    await friend.waitFor(/PRIVMSG #mantua :poison, please/)
    await user.say(contact(`friar@127.0.0.1,${two.port}`), 'quick')
    await friend.waitFor(/PRIVMSG friar :quick/i)
    friend.say('romeo', 'here')
    const answer = await user.host.next('message', event => event.text === 'here')
    assert.deepEqual(answer.chat, contact(`friar@127.0.0.1,${two.port}`))
    assert.deepEqual(
      user.session.features.connections?.list().map(each => each.isOnline),
      [true, true],
    )
    await user.stop()
    assert.equal(user.outcome, 'ended')
    assert.equal(user.host.sockets.size, 0)
  })

  test('unreachable: each join and message that waits is told', async () => {
    const server = `127.0.0.1:${await freePort()}`
    const user = new GatewayUser(createConnector({}).connector, 'romeo')
    await user.host.online()
    const started = performance.now()
    for (const name of ['#a', '#b']) user.rooms.join({ room: `${name}@${server}` as RoomId, nick: 'romeo' })
    await assert.rejects(user.say(contact(`nobody@${server}`), 'hello?'), { code: 'unreachable' })
    for (const name of ['#a', '#b']) {
      const { why } = await user.host.next('room-left', event => event.room === `${name}@${server}`)
      assert.ok(why.kind === 'refused' && why.code === 'unreachable' && why.reason?.includes('127.0.0.1'))
    }
    assert.ok(performance.now() - started < 30_000)
    assert.equal(user.outcome, undefined)
    await user.stop()
  })

  test('a server that breaks is connected to again, and its rooms joined', async () => {
    const port = await freePort()
    const first = await startNgircd({ port })
    const user = new GatewayUser(createConnector({}).connector, 'romeo')
    await user.host.online()
    const name = `#verona@127.0.0.1:${port}`
    await user.join(name)
    const from = user.host.events.length
    await first[Symbol.asyncDispose]()
    const { why } = await user.host.next('room-left', () => true, { from })
    assert.equal(why.kind, 'disconnected')
    // As the session host does at once; the server is not back yet.
    user.rooms.join({ room: name as RoomId, nick: 'romeo' })
    await waitUntil(() => user.host.targets.length >= 2)
    await using _second = await startNgircd({ port })
    await user.host.next('room-ready', event => event.room === name, { from, deadlineMs: 40_000 })
    assert.deepEqual(user.host.events.slice(from).filter(event => event.type === 'room-left').length, 1)
    assert.deepEqual(
      user.occupants(name).map(each => each.nick),
      ['romeo'],
    )
    await user.stop()
  })
})

test('keep-alive: asks after silence, gives up without an answer', { timeout: 60_000 }, async () => {
  const { Connection } = await import('../src/connection.ts')
  const { Flusher } = await import('../src/outbox.ts')
  const { Ticker } = await import('../src/ticker.ts')
  const { ircConfig } = await import('../src/config.ts')
  const { RecordingHost } = await import('./recording-host.ts')
  let now = 0
  const host = new RecordingHost({ now: () => now, monotonic: () => now })
  await using raw = await RawServer.start()
  const ticker = new Ticker()
  let isOnline = false
  const owner = {
    onOnline: () => {
      isOnline = true
    },
    onLine: () => {},
  }
  const parts = { host, config: ircConfig.parse({}), flusher: new Flusher(), ticker, count: () => {} }
  const connection = new Connection(parts, owner, { host: '127.0.0.1', port: raw.port, isTls: false }, 'me')
  const run = connection.run(new AbortController().signal, 'operator')
  await waitUntil(() => isOnline)
  now = 89_000
  ticker.tick()
  assert.ok(!raw.received.some(line => line.startsWith('PING')))
  now = 91_000
  ticker.tick()
  await waitUntil(() => raw.received.includes('PING spectrum'))
  raw.say(':raw.example PONG raw.example :spectrum')
  const heard = Promise.withResolvers<void>()
  host.sockets
    .values()
    .next()
    .value?.once('data', () => heard.resolve())
  await heard.promise
  now = 91_000 + 91_000
  ticker.tick()
  await waitUntil(() => raw.received.filter(line => line === 'PING spectrum').length === 2)
  now += 61_000
  ticker.tick()
  await assert.rejects(run, { code: 'unreachable' })
})

test('TLS is asked for where the address says so, and certificates are verified unless told otherwise', async () => {
  const port = await freePort()
  const signal = { verify: true }
  for (const verifyTls of [true, false]) {
    const user = new GatewayUser(createConnector({ server: [`127.0.0.1:+${port}`], verifyTls }).connector, 'romeo')
    await user.ended()
    assert.deepEqual(user.host.targets[0]?.tls, { ...signal, verify: verifyTls })
  }
})

test('leaving and coming back at once ends inside; leaving a refused room is quiet', async () => {
  await using server = await startNgircd()
  await using other = await IrcClient.connect({ port: server.port, nick: 'Friar' })
  await other.join('#cell')
  other.send('MODE #cell +i')
  await other.waitFor(/MODE #cell \+i/)
  const user = new GatewayUser(createConnector({ server: [`127.0.0.1:${server.port}`] }).connector, 'romeo')
  await user.join('#verona')
  const from = user.host.events.length
  user.rooms.leave('#verona' as RoomId)
  await user.join('#verona')
  await user.say(room('#verona'), 'back')
  assert.deepEqual(
    user.host.events.slice(from).filter(event => event.type === 'room-left'),
    [],
  )
  assert.equal(user.occupants('#verona').length, 1)

  user.rooms.join({ room: '#cell' as RoomId, nick: 'romeo' })
  await new Promise(resolve => setImmediate(() => setImmediate(resolve)))
  user.rooms.leave('#cell' as RoomId)
  await user.host.next('room-left', event => event.room === '#cell')
  await user.say(contact('romeo'), 'to myself')
  await user.host.next('message', event => event.text === 'to myself')
  assert.deepEqual(
    user.host.events.filter(event => event.type === 'notice'),
    [],
  )
  await user.stop()
})

test('what the server took for the user before it read the QUIT is told, and nothing is written after it', async () => {
  await using raw = await RawServer.start()
  raw.onQuit = socket => {
    raw.say('PING :still there?', ':juliet!u@h PRIVMSG romeo :\u0001PING 1\u0001')
    raw.say(':juliet!u@h PRIVMSG romeo :one moment', ':raw.example ERROR :Closing link')
    socket.end()
  }
  const user = new GatewayUser(createConnector({ server: [`127.0.0.1:${raw.port}`] }).connector, 'romeo')
  await user.host.online()
  await user.stop('good night')
  assert.equal(user.outcome, 'ended')
  const { text } = await user.host.next('message')
  assert.equal(text, 'one moment')
  assert.equal(raw.received.at(-1), 'QUIT :good night')
  assert.deepEqual(user.host.logged, [])
})

test('a server that does not close after QUIT is left soon', async () => {
  await using raw = await RawServer.start()
  raw.onQuit = () => {}
  const user = new GatewayUser(createConnector({ server: [`127.0.0.1:${raw.port}`] }).connector, 'romeo')
  await user.host.online()
  const since = performance.now()
  await user.stop()
  assert.ok(performance.now() - since < 10_000)
})
