import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import type { JoinRequest, MessageId, NetworkEvent, ReceivedMessage, RoomId } from '@spectrum/network'
import { IrcClient, waitUntil } from '@spectrum/stack'
import { createConnector, GatewayUser } from './gateway-user.ts'
import { RawServer } from './raw-server.ts'
import { servers } from './servers.ts'

const minute = 60_000
/** When the lines of the past were said: an hour ago, one a second. */
const start = Date.now() - 60 * minute
const time = (second: number) => new Date(start + second * 1000).toISOString()
const past = (second: number, { nick = 'boss', text = `line ${second}`, ref = '1' } = {}) =>
  `@batch=${ref};msgid=m${second};time=${time(second)} :${nick}!u@h PRIVMSG #balcony :${text}`
const batch = (lines: readonly string[], target = '#balcony') => [
  `:raw.example BATCH +1 chathistory ${target}`,
  ...lines,
  ':raw.example BATCH -1',
]

/** A server that keeps the past; `answer` is what it says to CHATHISTORY. */
async function historian(
  answer: (params: string[]) => readonly string[],
  tokens = 'CHATHISTORY=4',
): Promise<RawServer> {
  const raw = await RawServer.start()
  raw.onNick = () => {}
  raw.onLine = line => {
    const [command = '', ...params] = line.split(' ')
    if (line === 'CAP LS 302') raw.say(':raw.example CAP * LS :batch server-time message-tags draft/chathistory')
    if (line.startsWith('CAP REQ')) raw.say(`:raw.example CAP * ACK ${line.slice('CAP REQ '.length)}`)
    if (line === 'CAP END')
      raw.say(
        ':raw.example 001 me :Welcome',
        `:raw.example 005 me ${tokens} :are supported`,
        ':raw.example 376 me :End',
      )
    if (command === 'QUIT') raw.sockets.at(-1)?.end()
    if (command === 'CHATHISTORY') raw.say(...answer(params))
  }
  return raw
}

type After = NonNullable<NonNullable<JoinRequest['history']>['after']>

async function comeBack(raw: RawServer, after: Partial<After> = {}, more: Partial<JoinRequest> = {}) {
  const { connector, counts } = createConnector({ server: [`127.0.0.1:${raw.port}`] })
  const me = new GatewayUser(connector, 'me')
  await me.host.online()
  const at = new Date(time(0))
  const history = { after: { id: 'm0' as MessageId, at, ...after } }
  me.rooms.join({ room: '#balcony' as RoomId, nick: 'me', isReturn: true, history, ...more })
  await me.host.next('room-ready')
  return { me, counts }
}

const isMessage = (event: NetworkEvent): event is ReceivedMessage => event.type === 'message'
const said = (me: GatewayUser) => me.host.events.filter(isMessage).map(({ text }) => text)

async function hears(me: GatewayUser, expected: readonly string[], deadlineMs = 10_000): Promise<void> {
  const isThere = () => said(me).length >= expected.length
  await waitUntil(isThere, { deadlineMs }).catch(() => undefined)
  assert.deepEqual(said(me), expected)
}

describe('what was said while the user was away', () => {
  test('comes in pages, with its time, before what comes live meanwhile, and nothing twice', async () => {
    await using raw = await historian(([, , from]) => {
      if (from === 'msgid=m0')
        return [
          '@msgid=m6;time=2026-01-01T00:00:00.000Z :boss!u@h PRIVMSG #balcony :live',
          ...batch([past(1), past(2), past(3), past(4)]),
        ]
      return batch([past(5), past(6, { text: 'live' })])
    })
    const { me, counts } = await comeBack(raw)
    await hears(me, ['line 1', 'line 2', 'line 3', 'line 4', 'line 5', 'live'])
    const asked = raw.received.filter(line => line.startsWith('CHATHISTORY'))
    assert.deepEqual(asked, ['CHATHISTORY AFTER #balcony msgid=m0 4', 'CHATHISTORY AFTER #balcony msgid=m4 4'])
    const first = await me.host.next('message')
    assert.equal(first.at?.toISOString(), time(1))
    assert.equal(first.id, 'm1')
    // What the past has told already may still come live.
    raw.say(`@msgid=m5 :boss!u@h PRIVMSG #balcony :line 5`, ':boss!u@h PRIVMSG #balcony :new')
    await hears(me, ['line 1', 'line 2', 'line 3', 'line 4', 'line 5', 'live', 'new'])
    assert.equal(counts.get('history-known'), 1)
    await me.stop()
  })

  test('is asked for by time when the server refuses the id', async () => {
    await using raw = await historian(([, target, from]) =>
      from?.startsWith('msgid')
        ? [`:raw.example FAIL CHATHISTORY INVALID_MSGREFTYPE AFTER ${target} :Only times here`]
        : batch([past(0), past(1)]),
    )
    const { me } = await comeBack(raw)
    await hears(me, ['line 1'])
    assert.match(raw.received.at(-1) ?? '', /^CHATHISTORY AFTER #balcony timestamp=|^MODE/)
    await me.stop()
  })

  test('is asked for by time when the server has forgotten the id', async () => {
    await using raw = await historian(([, , from]) => batch(from === 'msgid=m0' ? [] : [past(0), past(1)]))
    const { me } = await comeBack(raw)
    await hears(me, ['line 1'])
    await me.stop()
  })

  test('is asked for by time where the server has no ids', async () => {
    await using raw = await historian(() => batch([past(1)]), 'CHATHISTORY=4 MSGREFTYPES=timestamp')
    const { me } = await comeBack(raw)
    await hears(me, ['line 1'])
    assert.ok(raw.received.some(line => line.startsWith('CHATHISTORY AFTER #balcony timestamp=')))
    await me.stop()
  })

  test('is gone when the server refuses: the conversation goes on', async () => {
    await using raw = await historian(([, target, from]) => [
      ...(from === 'msgid=m0' ? [':boss!u@h PRIVMSG #balcony :live'] : []),
      `:raw.example FAIL CHATHISTORY MESSAGE_ERROR AFTER ${target} :Messages could not be retrieved`,
    ])
    const { me, counts } = await comeBack(raw)
    await hears(me, ['live'])
    assert.equal(counts.get('history-refused'), 1)
    await me.stop()
  })

  test('does not hold up the conversation when the server stays silent or never ends the batch', async () => {
    await using raw = await historian(() => [
      ':boss!u@h PRIVMSG #balcony :live',
      ':raw.example BATCH +1 chathistory #balcony',
      past(1),
    ])
    const { me, counts } = await comeBack(raw)
    await hears(me, ['line 1', 'live'], 30_000)
    assert.equal(counts.get('history-timed-out'), 1)
    raw.say(past(2), ':boss!u@h PRIVMSG #balcony :later')
    await hears(me, ['line 1', 'live', 'later'])
    assert.equal(counts.get('history-late'), 1)
    await me.stop()
  })

  test('tells no own line again, under the nick of now or of then; after a break, what another client said', async () => {
    const lines = [past(1, { nick: 'me' }), past(2, { nick: 'me_' }), past(3), past(30, { nick: 'me' })]
    {
      await using raw = await historian(() => batch(lines))
      const { me, counts } = await comeBack(raw, {}, { nick: 'me_' })
      await hears(me, ['line 3'])
      assert.equal(counts.get('history-own'), 3)
      await me.stop()
    }
    await using raw = await historian(() => batch(lines))
    const after = { id: 'm0' as MessageId, at: new Date(time(0)) }
    const { me } = await comeBack(raw, {}, { nick: 'me_', history: { after, since: new Date(time(5)) } })
    await hears(me, ['line 3', 'line 30'])
    assert.deepEqual(me.host.events.filter(isMessage).at(-1)?.from, { self: true, nick: 'me' })
    await me.stop()
  })

  test('changes nothing but what is said: joins, CTCP and servers of the past count for nothing', async () => {
    await using raw = await historian(() =>
      batch([
        '@batch=1 :me!u@h PART #balcony',
        '@batch=1 :raw.example 366 me #balcony :End',
        `@batch=1;msgid=c;time=${time(1)} :boss!u@h PRIVMSG me :\x01VERSION\x01`,
        '@batch=1 :raw.example NOTICE #balcony :from a server',
        '@batch=1 BATCH +2 chathistory #balcony',
        past(2, { ref: '2' }),
        '@batch=1 BATCH -2',
        past(3),
      ]),
    )
    const { me, counts } = await comeBack(raw)
    await hears(me, ['line 2', 'line 3'])
    assert.equal(counts.get('history-other-line'), 4)
    assert.equal(me.occupants('#balcony').length, 2)
    assert.ok(!raw.received.some(line => line.startsWith('NOTICE')))
    await me.stop()
  })

  test('is bounded, however much a server says, and malformed batches are harmless', async () => {
    const flood = Array.from({ length: 5_000 }, (_, second) => past(second + 1))
    await using raw = await historian(() => [
      ':raw.example BATCH',
      ':raw.example BATCH +',
      ':raw.example BATCH -unknown',
      ...Array.from({ length: 100 }, (_, n) => `:raw.example BATCH +open${n} chathistory #elsewhere`),
      ...batch(flood),
      ':raw.example BATCH -1',
      ':boss!u@h PRIVMSG #balcony :live',
    ])
    const { me, counts } = await comeBack(raw)
    await waitUntil(() => said(me).includes('live'))
    assert.ok(said(me).length <= 4_002, `${said(me).length}`)
    assert.ok((counts.get('history-overflow') ?? 0) >= 1_000)
    assert.ok((counts.get('malformed-batch') ?? 0) >= 2)
    assert.equal(me.outcome, undefined)
    await me.stop()
  })

  test('may come with a join by itself: told with its time, as much as the client wants', async () => {
    await using raw = await historian(() => [])
    const { connector, counts } = createConnector({ server: [`127.0.0.1:${raw.port}`] })
    const me = new GatewayUser(connector, 'me')
    await me.host.online()
    me.rooms.join({ room: '#balcony' as RoomId, nick: 'me', history: { maxMessages: 2 } })
    await me.host.next('room-ready')
    raw.say(...batch([past(1), past(2), past(3)]))
    await hears(me, ['line 2', 'line 3'])
    assert.equal((await me.host.next('message')).at?.toISOString(), time(2))
    assert.equal(counts.get('history-not-wanted'), 1)
    await me.stop()
  })

  test('in private is told of everybody who wrote, before what they write now', async () => {
    const from = (nick: string, second: number) =>
      `@batch=1;msgid=p${second};time=${time(second)} :${nick}!u@h PRIVMSG me :private ${second}`
    await using raw = await historian(([command, target]) => {
      if (command === 'TARGETS')
        return [
          ':boss!u@h PRIVMSG me :live',
          ':raw.example BATCH +1 draft/chathistory-targets',
          `@batch=1 :raw.example CHATHISTORY TARGETS boss ${time(2)}`,
          `@batch=1 :raw.example CHATHISTORY TARGETS #balcony ${time(2)}`,
          `@batch=1 :raw.example CHATHISTORY TARGETS nurse ${time(3)}`,
          ':raw.example BATCH -1',
        ]
      const own = `@batch=1;msgid=own;time=${time(1)} :me!u@h PRIVMSG boss :own`
      return batch(target === 'boss' ? [own, from('boss', 2)] : [from('nurse', 3)], target)
    })
    const { connector } = createConnector({ server: [`127.0.0.1:${raw.port}`] })
    const me = new GatewayUser(connector, 'me', undefined, new Date(time(0)))
    await hears(me, ['private 2', 'private 3', 'live'])
    assert.deepEqual((await me.host.next('message')).chat, { kind: 'contact', user: 'boss' })
    assert.ok(!raw.received.some(line => line.startsWith('CHATHISTORY AFTER #balcony')))
    await me.stop()
  })
})

for (const { name, start: startServer } of servers.filter(server => server.name === 'ergo')) {
  test(`${name} tells a user who comes back all that was said, in order and once`, async () => {
    await using server = await startServer()
    const { connector } = createConnector({ server: [`127.0.0.1:${server.port}`] })
    await using juliet = await IrcClient.connect({ port: server.port, nick: 'Juliet' })
    await juliet.join('#balcony')
    const before = new GatewayUser(connector, 'romeo')
    await before.host.online()
    await before.join('#balcony')
    assert.equal(before.rooms.fillsGaps?.('#balcony' as RoomId), true)
    juliet.send('PRIVMSG #balcony :line 0')
    const last = await before.host.next('message')
    assert.ok(last.id && last.saidAt)
    await before.say({ kind: 'room', room: '#balcony' as RoomId }, 'my own')
    await juliet.waitFor(/PRIVMSG #balcony :?my own/)
    await before.stop()
    const expected = Array.from({ length: 1_500 }, (_, n) => `line ${n + 1}`)
    for (const text of expected) juliet.send(`PRIVMSG #balcony :${text}`)
    juliet.send('PING written')
    await juliet.waitFor(/PONG .*written/)
    const after = new GatewayUser(connector, 'romeo')
    await after.host.online()
    const history = { after: { id: last.id, at: last.saidAt } }
    after.rooms.join({ room: '#balcony' as RoomId, nick: 'romeo', isReturn: true, history })
    await after.host.next('room-joined')
    const live = Array.from({ length: 50 }, (_, n) => `live ${n}`)
    for (const text of live) juliet.send(`PRIVMSG #balcony :${text}`)
    await hears(after, [...expected, ...live])
    assert.ok(after.host.events.filter(isMessage)[0]?.at)
    await after.stop()
  })
}
