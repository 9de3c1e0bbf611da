import assert from 'node:assert/strict'
import { after, before, beforeEach, describe, test } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import { MessageReceived, Show } from '@spectrum/messages'
import { type NatsServer, type ProsodyServer, startNats, startProsody, waitUntil, XmppClient } from '@spectrum/stack'
import { Frontend } from './frontend-child.ts'
import { Neighbours } from './neighbours.ts'
import { TcpProxy } from './tcp-proxy.ts'

const jid = 'irc.localhost'
const secret = 'hush-hush-9000'
const romeoJid = 'romeo@localhost'

describe('a frontend of an XMPP server that is restarted, stands still or refuses what it is sent', () => {
  let prosody: ProsodyServer
  let nats: NatsServer
  let neighbours: Neighbours
  let frontend: Frontend

  before(async () => {
    prosody = await startProsody({
      component: { jid, secret },
      users: ['romeo', 'juliet'].map(name => ({ name, password: 'secret' })),
      config: 'component_stanza_size_limit = 5000',
    })
    nats = await startNats()
    neighbours = await Neighbours.start(nats.url, jid)
    for (const name of ['romeo', 'juliet'])
      neighbours.registered.set(`${name}@localhost`, { username: name, password: '' })
  })
  after(async () => {
    await frontend?.[Symbol.asyncDispose]()
    await neighbours?.[Symbol.asyncDispose]()
    await nats?.[Symbol.asyncDispose]()
    await prosody?.[Symbol.asyncDispose]()
  })
  beforeEach(() => begin(prosody.componentPort))
  const begin = async (componentPort: number) => {
    await frontend?.end('SIGTERM')
    frontend = await Frontend.start({ jid, secret, natsUrl: nats.url, componentPort }, ['--frontend.return_seconds=10'])
    await waitUntil(async () => (await frontend.isActive()) && (await frontend.isReady()), {
      deadlineMs: 20_000,
      describe: () => frontend.log,
    })
  }
  /** It has the next stream: a server that is back at once may be so before the end of the last was noticed. */
  const hasReturned = () =>
    waitUntil(async () => [...frontend.log.matchAll(/component connected/g)].length > 1 && (await frontend.isReady()), {
      deadlineMs: 20_000,
      describe: () => frontend.log,
    })
  const login = (name = 'romeo') =>
    XmppClient.connect({ port: prosody.clientPort, domain: 'localhost', name, password: 'secret', resource: 'orchard' })
  const tell = (body: string, to = `${romeoJid}/orchard`) =>
    neighbours.tell(to, {
      $case: 'messageReceived',
      value: MessageReceived.fromPartial({ from: { name: '#verona', resource: 'tybalt' }, kind: 1, body }),
    })
  let entries = 0
  const enter = async (client: XmppClient) => {
    // By its id: the presence of an earlier client may not have been looked for.
    const id = `enter-${++entries}`
    client.sends(`<presence to="${jid}" id="${id}"/>`)
    await waitUntil(() => neighbours.commands.some(({ stanzaId }) => stanzaId === id), { describe: () => frontend.log })
  }
  /** Comes in again, as the session sees it: it asks for what is still being returned before it goes on. */
  const comesBack = async (client: XmppClient) => {
    await enter(client)
    const room = { name: '#verona', node: '', resource: '' }
    neighbours.tell(client.jid, { $case: 'returnsAwaited', value: { room } })
    const { resource } = await neighbours.command('returnsComplete', client.bareJid)
    assert.equal(resource, 'orchard')
  }
  const bodies = (client: XmppClient, start: string) =>
    client.stanzas
      .filter(({ attrs }) => attrs.type === 'groupchat')
      .flatMap(stanza => stanza.getChildText('body') ?? [])
      .filter(body => body.startsWith(start))
  const returned = (start: string) =>
    neighbours.commands
      .flatMap(({ command }) => (command?.$case === 'messagesReturned' ? command.value.messages : []))
      .filter(({ message }) => message?.body.startsWith(start))

  test('the server is stopped and comes back: each line is read, or goes back to the session in order', async context => {
    const romeo = await login()
    await enter(romeo)
    let n = 0
    const talk = setInterval(() => tell(`restart ${n++}`), 2)
    await waitUntil(() => bodies(romeo, 'restart ').length > 100)
    await prosody.kill('SIGTERM')
    await prosody.start()
    await hasReturned()
    await waitUntil(() => returned('restart ').length > 100, { deadlineMs: 20_000, describe: () => frontend.log })
    await using back = await login()
    await comesBack(back)
    await waitUntil(() => bodies(back, 'restart ').length > 100, { deadlineMs: 20_000, describe: () => frontend.log })
    clearInterval(talk)
    await waitUntil(() => bodies(back, 'restart ').includes(`restart ${n - 1}`), { deadlineMs: 20_000 })
    const back1 = returned('restart ').map(({ message }) => message?.body ?? '')
    const complete = neighbours.commands.findIndex(({ command }) => command?.$case === 'returnsComplete')
    assert.deepEqual(
      neighbours.commands.slice(complete).filter(({ command }) => command?.$case === 'messagesReturned'),
      [],
      'nothing goes back behind the word that all has',
    )
    const all = [...bodies(romeo, 'restart '), ...back1, ...bodies(back, 'restart ')]
    const missing = Array.from({ length: n }, (_, line) => `restart ${line}`).filter(body => !all.includes(body))
    context.diagnostic(
      `${n} lines: ${bodies(romeo, 'restart ').length} before, ${back1.length} returned, ${bodies(back, 'restart ').length} after; confirmed within the last second before a stream ended: ${await frontend.metric('frontend_lines_confirmed_before_loss_total')}`,
    )
    assert.deepEqual(missing, [])
    const numbers = back1.map(body => Number(body.split(' ')[1]))
    assert.deepEqual(
      numbers,
      [...numbers].sort((a, b) => a - b),
      'in order',
    )
    assert.ok(
      returned('restart ').every(({ resources, atMs }) => resources[0] === 'orchard' && atMs > 0),
      'with their resource and time',
    )
    assert.ok(
      !neighbours.commands.some(
        ({ command }) => command?.$case === 'setPresence' && command.value.show === Show.SHOW_OFFLINE,
      ),
    )
  })

  test('the server is killed: no line is missing, also of those that it had confirmed; these are counted', async context => {
    const romeo = await login()
    await enter(romeo)
    let n = 0
    const talk = setInterval(() => tell(`kill ${n++}`), 2)
    await waitUntil(() => bodies(romeo, 'kill ').length > 300)
    await prosody.kill('SIGKILL')
    await prosody.start()
    await hasReturned()
    await using back = await login()
    await comesBack(back)
    const from = n
    await waitUntil(() => n > from + 50)
    clearInterval(talk)
    await waitUntil(() => bodies(back, 'kill ').includes(`kill ${n - 1}`), {
      deadlineMs: 20_000,
      describe: () =>
        `of ${n}: the last heard ${bodies(back, 'kill ').at(-1)}, the last returned ${returned('kill ').at(-1)?.message?.body}\n${frontend.log}`,
    })
    const all = new Set([
      ...bodies(romeo, 'kill '),
      ...returned('kill ').map(({ message }) => message?.body ?? ''),
      ...bodies(back, 'kill '),
    ])
    const missing = Array.from({ length: n }, (_, line) => `kill ${line}`).filter(body => !all.has(body))
    const counted = await frontend.metric('frontend_lines_confirmed_before_loss_total')
    context.diagnostic(`${n} lines, ${missing.length} missing; ${counted} confirmed within the second before the end`)
    assert.deepEqual(missing, [])
    assert.ok(counted > 0)
  })

  test('the server is killed: private lines of the last moment come again, and all that follow wait for their reader', async context => {
    const romeo = await login()
    await enter(romeo)
    const chats = (client: XmppClient) =>
      client.stanzas
        .filter(({ attrs }) => attrs.type === 'chat')
        .flatMap(stanza => Number(/^private (\d+)$/.exec(stanza.getChildText('body') ?? '')?.[1] ?? []))
    let n = 0
    const talk = setInterval(() => {
      const value = MessageReceived.fromPartial({ from: { name: 'tybalt' }, kind: 0, body: `private ${n++}` })
      neighbours.tell(romeoJid, { $case: 'messageReceived', value })
    }, 10)
    context.after(() => clearInterval(talk))
    await waitUntil(() => chats(romeo).length > 100)
    await prosody.kill('SIGKILL')
    // So long that it is missed.
    await delay(1_000)
    await prosody.start()
    await hasReturned()
    await waitUntil(async () => (await frontend.metric('frontend_held_bytes')) > 0)
    await using back = await login()
    await enter(back)
    const from = n
    await waitUntil(() => n > from + 50)
    clearInterval(talk)
    await waitUntil(() => chats(back).includes(n - 1), { deadlineMs: 20_000, describe: () => frontend.log })
    const before = chats(romeo)
    const after = chats(back)
    const all = new Set([...before, ...after])
    context.diagnostic(`${n} lines, ${after.filter(line => before.includes(line)).length} of them came twice`)
    assert.deepEqual(
      Array.from({ length: n }, (_, line) => line).filter(line => !all.has(line)),
      [],
      'none is missing',
    )
    assert.deepEqual(
      after,
      after.toSorted((a, b) => a - b),
      'in order',
    )
    assert.equal(new Set(after).size, after.length, 'none came twice to the one who came back')
    assert.equal(await frontend.metric('frontend_held_bytes'), 0)
  })

  test('the connection is reset in mid-batch, three times: all arrives in order, within a moment', async context => {
    await using proxy = await TcpProxy.start(prosody.componentPort)
    await begin(proxy.port)
    await using romeo = await login()
    await enter(romeo)
    // As clients do (XEP-0199).
    let read = 0
    const arrivals: number[] = []
    const attention = setInterval(() => {
      for (; read < romeo.stanzas.length; read++) {
        const { name, attrs } = romeo.stanzas[read] ?? assert.fail()
        if (attrs.type === 'groupchat') arrivals.push(performance.now())
        if (name === 'iq' && attrs.type === 'get')
          romeo.sends(`<iq type="result" id="${attrs.id}" to="${attrs.from}"/>`)
      }
    }, 5)
    let n = 0
    const talk = setInterval(() => {
      for (let each = 0; each < 5; each++) tell(`reset ${n++}`)
    }, 10)
    try {
      for (let time = 0; time < 3; time++) {
        const heardBefore = bodies(romeo, 'reset ').length
        await waitUntil(() => bodies(romeo, 'reset ').length > heardBefore + 300, {
          deadlineMs: 20_000,
          describe: () => frontend.log,
        })
        proxy.reset()
      }
    } finally {
      clearInterval(talk)
    }
    await waitUntil(() => new Set(bodies(romeo, 'reset ')).size === n, {
      deadlineMs: 20_000,
      describe: () => `${new Set(bodies(romeo, 'reset ')).size} of ${n}\n${frontend.log}`,
    })
    clearInterval(attention)
    const heard = bodies(romeo, 'reset ')
    assert.deepEqual(
      [...new Set(heard)],
      Array.from({ length: n }, (_, line) => `reset ${line}`),
    )
    const longest = Math.max(...arrivals.slice(1).map((at, index) => at - (arrivals[index] ?? at)))
    context.diagnostic(`${n} lines, ${heard.length - n} doubled; the longest silence: ${Math.round(longest)} ms`)
    // The last one may be noticed behind the last line.
    await waitUntil(async () => (await frontend.metric('frontend_streams_lost_total')) >= 3)
    assert.equal(await frontend.metric('frontend_streams_lost_total'), 3)
    assert.ok(longest < 5_000, `${longest} ms of silence`)
    assert.deepEqual(returned('reset '), [])
  })

  test('who does not return has left after the return time, and not before', async () => {
    const juliet = await login('juliet')
    await enter(juliet)
    const isGone = () =>
      neighbours.commands.find(
        ({ user, command }) =>
          user === juliet.bareJid && command?.$case === 'setPresence' && command.value.show === Show.SHOW_OFFLINE,
      )
    await prosody.kill('SIGTERM')
    await prosody.start()
    await hasReturned()
    const upAt = performance.now()
    const gone = await waitUntil(isGone, { deadlineMs: 50_000, describe: () => frontend.log })
    assert.equal(gone.resource, 'orchard')
    assert.ok(performance.now() - upAt > 7_000, `gone after ${performance.now() - upAt} ms`)
  })

  test('a server that stands still for 20 s loses nothing, either way', { timeout: 120_000 }, async context => {
    await using romeo = await login()
    await enter(romeo)
    const count = 1_000
    for (let n = 0; n < count / 2; n++) {
      tell(`still ${n}`)
      romeo.sends(`<message to="#verona@${jid}" type="groupchat"><body>still ${n}</body></message>`)
    }
    void prosody.kill('SIGSTOP')
    for (let n = count / 2; n < count; n++) {
      tell(`still ${n}`)
      romeo.sends(`<message to="#verona@${jid}" type="groupchat"><body>still ${n}</body></message>`)
    }
    // The fault itself: no condition to wait for.
    await new Promise(resolve => setTimeout(resolve, 20_000))
    void prosody.kill('SIGCONT')
    const said = () =>
      neighbours.commands.flatMap(({ command }) =>
        command?.$case === 'sendMessage' && command.value.body.startsWith('still ') ? [command.value.body] : [],
      )
    await waitUntil(() => said().length >= count && new Set(bodies(romeo, 'still ')).size >= count, {
      deadlineMs: 60_000,
      describe: () => `${said().length} said, ${bodies(romeo, 'still ').length} heard\n${frontend.log}`,
    })
    const wanted = Array.from({ length: count }, (_, n) => `still ${n}`)
    assert.deepEqual(said(), wanted)
    assert.deepEqual(bodies(romeo, 'still '), wanted)
    context.diagnostic(`streams lost: ${await frontend.metric('frontend_streams_lost_total')}`)
  })

  test('an event that the server closes the stream for is put aside, and its user told; the rest flows', async context => {
    await using romeo = await login()
    await using juliet = await login('juliet')
    await enter(romeo)
    await enter(juliet)
    for (let n = 0; n < 50; n++) tell(`good ${n}`)
    const startedAt = performance.now()
    tell(`poison ${'x'.repeat(30_000)}`, `${juliet.bareJid}/orchard`)
    for (let n = 50; n < 100; n++) tell(`good ${n}`)
    await juliet.receives(`<message from="${jid}" type="headline"/>`, { deadlineMs: 50_000 })
    await romeo.receives('<message><body>good 99</body></message>', { deadlineMs: 50_000 })
    const tookMs = performance.now() - startedAt
    context.diagnostic(`all flows again after ${Math.round(tookMs)} ms`)
    assert.ok(tookMs < 10_000, `it took ${tookMs} ms`)
    assert.deepEqual(
      [...new Set(bodies(romeo, 'good '))],
      Array.from({ length: 100 }, (_, n) => `good ${n}`),
    )
    assert.equal(await frontend.metric('frontend_poison_total'), 1)
    await waitUntil(async () => (await frontend.get('/metrics')).text.includes('stream-closed'))
  })

  test('an answer that the server closes the stream for is put aside, and who asked is told; the rest flows', async () => {
    await using romeo = await login()
    await using juliet = await login('juliet')
    await enter(romeo)
    // Each of these becomes six bytes in the answer.
    const quotes = '"'.repeat(1_000)
    juliet.sends(`<iq type="get" id='${quotes}' to='tybalt@${jid}/${quotes}'><query xmlns="urn:example:unknown"/></iq>`)
    tell('good 0')
    await juliet.receives(`<message from="${jid}" type="headline"/>`, { deadlineMs: 50_000 })
    tell('good 1')
    await romeo.receives('<message><body>good 1</body></message>', { deadlineMs: 50_000 })
    assert.equal(await frontend.metric('frontend_poison_total'), 1)
    await waitUntil(async () => (await frontend.get('/metrics')).text.includes('stream-closed'))
  })
})
