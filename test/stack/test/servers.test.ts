import assert from 'node:assert/strict'
import { existsSync } from 'node:fs'
import { createConnection } from 'node:net'
import { test } from 'node:test'
import {
  ErgoUnavailableError,
  startEjabberd,
  startErgo,
  startInspircd,
  startNats,
  startNatsCluster,
  startNgircd,
  startPostgres,
  startProsody,
  XmppClient,
} from '../src/index.ts'
import { waitUntil } from '../src/wait-until.ts'

/** What a server answers to these lines, up to a pattern. */
async function talk(port: number, lines: string, until: RegExp): Promise<string> {
  const socket = createConnection({ port, host: '127.0.0.1' })
  let answer = ''
  socket.setEncoding('utf8').on('data', chunk => {
    answer += chunk
  })
  socket.write(lines)
  try {
    await waitUntil(() => until.test(answer), { deadlineMs: 20_000, describe: () => `arrived: ${answer}` })
    return answer
  } finally {
    socket.destroy()
  }
}

test('nats-server starts with JetStream, keeps its data over a kill and leaves nothing behind', async () => {
  const nats = await startNats()
  assert.match(await talk(nats.port, '', /INFO .*\r\n/), /"jetstream":true/)
  await nats.kill('SIGKILL')
  await nats.start()
  assert.match(await talk(nats.port, '', /INFO .*\r\n/), /"jetstream":true/)
  await nats[Symbol.asyncDispose]()
  assert.equal(existsSync(nats.dir), false)
})

test('a nats-server that does not come up says what it printed', async () => {
  await assert.rejects(startNats({ config: 'no_such_setting: 1' }), /nats-server ended .*no_such_setting/s)
})

test('three nats-servers form a JetStream cluster with a leader', async () => {
  await using cluster = await startNatsCluster(3)
  assert.equal(cluster.urls.length, 3)
})

test('PostgreSQL starts, gives databases apart from each other, and keeps commits over a kill', async () => {
  await using postgres = await startPostgres()
  const [first, second] = [await postgres.createDatabase(), await postgres.createDatabase()]
  assert.notEqual(first, second)
  await postgres.query(first, 'create table t (x int); insert into t values (7)')
  await postgres.kill('SIGKILL')
  await postgres.start()
  assert.equal(await postgres.query(first, 'select x from t'), '7')
})

test('Prosody starts and speaks to clients and components', async () => {
  await using prosody = await startProsody({
    component: { jid: 'irc.localhost', secret: 'a "secret"' },
    users: [{ name: 'romeo', password: 'x' }],
    conflictResolve: 'kick_old',
  })
  const client =
    "<stream:stream to='localhost' version='1.0' xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams'>"
  assert.match(await talk(prosody.clientPort, client, /<\/stream:features>/), /<mechanism>PLAIN<\/mechanism>/)
  const component =
    "<stream:stream to='irc.localhost' xmlns='jabber:component:accept' xmlns:stream='http://etherx.jabber.org/streams'>"
  assert.match(await talk(prosody.componentPort, component, /<stream:stream[^>]*>/), /from='irc.localhost'/)
})

test('ejabberd starts, lets a user in, and one component several times', async () => {
  await using ejabberd = await startEjabberd({ component: { jid: 'irc.localhost', secret: 'secret' } })
  await ejabberd.addUser('romeo', 'a "password"')
  await using romeo = await XmppClient.connect({
    port: ejabberd.clientPort,
    domain: ejabberd.domain,
    name: 'romeo',
    password: 'a "password"',
  })
  assert.equal(romeo.bareJid, 'romeo@localhost')
  const component =
    "<stream:stream to='irc.localhost' xmlns='jabber:component:accept' xmlns:stream='http://etherx.jabber.org/streams'>"
  for (const _ of [1, 2])
    assert.match(await talk(ejabberd.componentPort, component, /<stream:stream[^>]*>/), /from='irc.localhost'/)
})

for (const [name, start] of Object.entries({ ngircd: startNgircd, inspircd: startInspircd }))
  test(`${name} starts and lets a client in`, async () => {
    await using server = await start({ password: 'pass' })
    await talk(server.port, 'PASS pass\r\nNICK juliet\r\nUSER j 0 * :Juliet\r\n', /^:\S+ 001 juliet/m)
    assert.match(await talk(server.port, 'NICK romeo\r\nUSER r 0 * :Romeo\r\n', /ERROR/), /password|denied/i)
    await server.restart()
    await talk(server.port, 'PASS pass\r\nNICK juliet\r\nUSER j 0 * :Juliet\r\n', /^:\S+ 001 juliet/m)
  })

test('Ergo starts where it can be had, and otherwise says in one sentence why not', async () => {
  try {
    await using server = await startErgo({ password: 'pass' })
    await talk(server.port, 'PASS pass\r\nNICK juliet\r\nUSER j 0 * :Juliet\r\n', /^\S+ 001 juliet/m)
  } catch (error) {
    assert.ok(error instanceof ErgoUnavailableError, String(error))
    assert.match(error.message, /Go|Ergo/)
  }
})
