import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import { connectBus, eventLane, partitionOf, partitionResource } from '@spectrum/bus'
import { eventCodec, MessageReceived, Show } from '@spectrum/messages'
import {
  freePort,
  type NatsServer,
  type ProsodyServer,
  startNats,
  startProsody,
  waitUntil,
  XmppClient,
} from '@spectrum/stack'
import { Frontend } from './frontend-child.ts'
import { flagsOf, type Surroundings } from './frontend-process.ts'
import { Neighbours, silent } from './neighbours.ts'
import { TcpProxy } from './tcp-proxy.ts'

const jid = 'irc.localhost'
const secret = 'hush-hush-9000'
const romeoJid = 'romeo@localhost'

describe('two frontends of one component', () => {
  let prosody: ProsodyServer
  let nats: NatsServer
  let neighbours: Neighbours
  let surroundings: Surroundings

  before(async () => {
    prosody = await startProsody({
      component: { jid, secret },
      users: [{ name: 'romeo', password: 'secret' }],
      conflictResolve: 'kick_old',
    })
    nats = await startNats()
    neighbours = await Neighbours.start(nats.url, jid)
    neighbours.registered.set(romeoJid, { username: 'romeo', password: '' })
    surroundings = { jid, secret, natsUrl: nats.url, componentPort: prosody.componentPort }
  })
  after(async () => {
    await neighbours?.[Symbol.asyncDispose]()
    await nats?.[Symbol.asyncDispose]()
    await prosody?.[Symbol.asyncDispose]()
  })
  const login = () =>
    XmppClient.connect({
      port: prosody.clientPort,
      domain: 'localhost',
      name: 'romeo',
      password: 'secret',
      resource: 'orchard',
    })
  const say = (body: string) =>
    neighbours.tell(`${romeoJid}/orchard`, {
      $case: 'messageReceived',
      value: MessageReceived.fromPartial({ from: { name: 'tybalt' }, body }),
    })

  test('the standby takes over from one that was killed, and everything arrives in order', async context => {
    await using first = await Frontend.start(surroundings)
    await waitUntil(() => first.isServing(), { describe: () => first.log })
    await using second = await Frontend.start(surroundings)
    assert.equal(await second.isActive(), false)
    await using romeo = await login()
    romeo.sends(`<presence to="${jid}"/>`)
    await neighbours.command('setPresence')
    const bodies = Array.from({ length: 2_000 }, (_, n) => `line ${n}`)
    for (const body of bodies.slice(0, 1_000)) say(body)
    await romeo.receives(`<message><body>${bodies[500]}</body></message>`, { deadlineMs: 20_000 })
    const killedAt = performance.now()
    await first.end('SIGKILL')
    for (const body of bodies.slice(1_000)) say(body)
    await romeo.receives(`<message><body>${bodies[1_999]}</body></message>`, { deadlineMs: 40_000 })
    const gapMs = performance.now() - killedAt
    const arrived = romeo.stanzas.map(stanza => stanza.getChildText('body')).filter(body => body?.startsWith('line '))
    const distinct = [...new Set(arrived)]
    assert.deepEqual(distinct, bodies, 'nothing is lost or out of order')
    context.diagnostic(`the last line came ${Math.round(gapMs)} ms after the kill`)
    assert.ok(gapMs < 5_000, `the gap was ${gapMs} ms`)
    assert.ok(!romeo.stanzas.some(stanza => stanza.attrs.type === 'unavailable'), 'nobody was logged out')
    romeo.sends(`<message to="tybalt@${jid}" type="chat"><body>still here</body></message>`)
    assert.equal((await neighbours.command('sendMessage')).value.body, 'still here')
    assert.equal(neighbours.logins.length, 1)
    assert.equal(await second.end('SIGTERM'), 0, second.log)
    assert.doesNotMatch(first.log + second.log, new RegExp(secret))
    assert.match(second.log, /component connected/)
  })

  test('one that is asked to stop hands over, and loses nothing that was said to it', async context => {
    await using first = await Frontend.start(surroundings)
    await waitUntil(() => first.isServing(), { describe: () => first.log })
    await using second = await Frontend.start(surroundings)
    await using romeo = await login()
    for (let n = 0; n < 200; n++) {
      romeo.sends(`<message to="tybalt@${jid}" type="chat"><body>${n}</body></message>`)
      say(`event ${n}`)
    }
    for (let n = 0; n < 200; n++) assert.equal((await neighbours.command('sendMessage')).value.body, String(n))
    assert.equal(await first.end('SIGTERM'), 0, first.log)
    const endedAt = performance.now()
    await waitUntil(() => second.isActive(), { deadlineMs: 10_000, describe: () => second.log })
    await waitUntil(() => second.isReady(), { deadlineMs: 20_000, describe: () => second.log })
    context.diagnostic(`ready ${Math.round(performance.now() - endedAt)} ms after the other had ended`)
    say('handed over')
    await romeo.receives('<message><body>handed over</body></message>', { deadlineMs: 20_000 })
    const events = romeo.stanzas.map(stanza => stanza.getChildText('body')).filter(body => body?.startsWith('event '))
    assert.deepEqual(
      [...new Set(events)],
      Array.from({ length: 200 }, (_, n) => `event ${n}`),
    )
  })

  test('a planned change under load: the standby connects first, nothing is lost, doubled or refused', async context => {
    await using first = await Frontend.start(surroundings)
    await waitUntil(() => first.isServing(), { describe: () => first.log })
    await using second = await Frontend.start(surroundings)
    // A standby that is ready is known as one to whoever stops.
    await waitUntil(() => second.isReady(), { deadlineMs: 20_000, describe: () => second.log })
    await using romeo = await login()
    romeo.sends(`<presence to="${jid}"/>`)
    await neighbours.command('setPresence')
    const count = 3_000
    let sent = 0
    let end: Promise<number | null> | undefined
    const startedAt = performance.now()
    let endedAt = startedAt
    while (sent < count) {
      for (let n = 0; n < 10; n++, sent++) {
        romeo.sends(`<message to="tybalt@${jid}" type="chat" id="c${sent}"><body>change ${sent}</body></message>`)
        say(`change ${sent}`)
      }
      if (sent === 1_000) {
        end = first.end('SIGTERM')
        void end.then(() => {
          endedAt = performance.now()
        })
      }
      await new Promise(resolve => setTimeout(resolve, 10))
    }
    const wanted = Array.from({ length: count }, (_, n) => `change ${n}`)
    const missing = (there: readonly string[]) => {
      const all = new Set(there)
      return `missing ${wanted.filter(body => !all.has(body)).slice(0, 20)}`
    }
    const bodiesOfCommands = () =>
      neighbours.commands.flatMap(({ command }) =>
        command?.$case === 'sendMessage' && command.value.body.startsWith('change ') ? [command.value.body] : [],
      )
    const bodiesOfRomeo = () =>
      romeo.stanzas
        .filter(({ attrs }) => attrs.type !== 'error')
        .flatMap(stanza => stanza.getChildText('body') ?? [])
        .filter(body => body.startsWith('change '))
    await waitUntil(() => bodiesOfCommands().length >= count && bodiesOfRomeo().length >= count, {
      deadlineMs: 30_000,
      describe: () =>
        `${bodiesOfCommands().length} and ${bodiesOfRomeo().length}; ${missing(bodiesOfCommands())}; ${missing(bodiesOfRomeo())}; ${romeo.stanzas.filter(({ attrs }) => attrs.type === 'error').slice(0, 5)}\n${first.log}\n${second.log}`,
    })
    assert.deepEqual(bodiesOfCommands(), wanted)
    // The next test looks for its own.
    for (const body of wanted) assert.equal((await neighbours.command('sendMessage')).value.body, body)
    assert.deepEqual(bodiesOfRomeo(), wanted)
    assert.ok(!romeo.stanzas.some(({ attrs }) => attrs.type === 'error'), 'nothing bounces')
    assert.equal(await end, 0, first.log)
    assert.match(second.log, /connecting to take over/)
    context.diagnostic(`the first ended ${Math.round(endedAt - startedAt)} ms after the beginning`)
    assert.equal(await second.end('SIGTERM'), 0, second.log)
  })

  test('one that is asked to stop while nobody stands by takes what is said until its stream has ended; the rest is answered', async context => {
    await using only = await Frontend.start(surroundings)
    await waitUntil(() => only.isServing(), { describe: () => only.log })
    await using romeo = await login()
    romeo.sends(`<presence to="${jid}"/>`)
    await neighbours.command('setPresence')
    const from = neighbours.commands.length
    const taken = () =>
      neighbours.commands
        .slice(from)
        .flatMap(({ command }) => (command?.$case === 'sendMessage' ? [command.value.body] : []))
    const refused = () => romeo.stanzas.filter(({ attrs }) => attrs.type === 'error').map(({ attrs }) => attrs.id)
    let sent = 0
    let end: Promise<number | null> | undefined
    let isOver = false
    while (!isOver) {
      for (let n = 0; n < 10; n++, sent++)
        romeo.sends(`<message to="tybalt@${jid}" type="chat" id="alone-${sent}"><body>alone-${sent}</body></message>`)
      if (sent === 1_000) {
        end = only.end('SIGTERM')
        void end.then(() => {
          isOver = true
        })
      }
      await new Promise(resolve => setTimeout(resolve, 2))
    }
    assert.equal(await end, 0, only.log)
    await waitUntil(() => new Set([...taken(), ...refused()]).size >= sent, {
      deadlineMs: 20_000,
      describe: () => `${taken().length} taken and ${refused().length} refused of ${sent}`,
    })
    assert.deepEqual(
      taken(),
      Array.from({ length: taken().length }, (_, n) => `alone-${n}`),
      'in order, once, without a hole',
    )
    context.diagnostic(`${sent} lines: ${taken().length} taken, ${refused().length} refused`)
    assert.ok(taken().length > 500)
    // The next test looks for its own.
    for (const body of taken()) assert.equal((await neighbours.command('sendMessage')).value.body, body)
  })

  test('goes on after the bus was away: what was said meanwhile arrives', async () => {
    await using frontend = await Frontend.start(surroundings)
    await waitUntil(() => frontend.isServing(), { describe: () => frontend.log })
    await using romeo = await login()
    romeo.sends(`<message to="tybalt@${jid}" type="chat"><body>before</body></message>`)
    await neighbours.command('sendMessage')
    await nats.kill()
    for (let n = 0; n < 50; n++) romeo.sends(`<message to="tybalt@${jid}" type="chat"><body>away ${n}</body></message>`)
    await waitUntil(async () => !(await frontend.isReady()), { deadlineMs: 20_000 })
    await nats.start()
    for (let n = 0; n < 50; n++) assert.equal((await neighbours.command('sendMessage')).value.body, `away ${n}`)
    say('back')
    await romeo.receives('<message><body>back</body></message>', { deadlineMs: 40_000 })
    romeo.sends(`<presence type="unavailable" to="${jid}"/>`)
    assert.equal((await neighbours.command('setPresence')).value.show, Show.SHOW_OFFLINE)
    assert.equal(await frontend.end('SIGTERM'), 0, frontend.log)
  })

  for (const [when, frozenMs] of [
    ['while it runs', 0],
    ['over a standstill that its lease did not outlast', 13_000],
  ] as const)
    test(`one that loses a lane alone ${when}, and the component is its own, begins anew by itself`, async () => {
      await using frontend = await Frontend.start(surroundings)
      await waitUntil(() => frontend.isServing(), { describe: () => frontend.log })
      await waitUntil(async () => (await frontend.metric('frontend_partitions')) === 32, { deadlineMs: 30_000 })
      await using romeo = await login()
      romeo.sends(`<presence to="${jid}"/>`)
      await neighbours.command('setPresence')
      {
        const { instance } = neighbours
        await using thief = await connectBus({ servers: [nats.url], instance, service: 'frontend', log: silent })
        const partition = partitionResource(instance, partitionOf(romeoJid, 32))
        const owner = await thief.owners.ownerOf(partition)
        assert.ok(owner)
        // Wrongly: it lives on, and every other record is still its own.
        if (frozenMs > 0) frontend.signal('SIGSTOP')
        thief.owners.reportDeath(owner.process)
        await using ownership = await thief.owners.acquire(partition)
        assert.ok(ownership)
        await thief.consume(eventLane(instance, partitionOf(romeoJid, 32)), eventCodec, ownership, {
          onItem: delivery => delivery.finish(),
          onLost: () => undefined,
        })
        if (frozenMs > 0) {
          romeo.sends(`<message to="tybalt@${jid}" type="chat" id="meanwhile"><body>meanwhile</body></message>`)
          await delay(frozenMs)
          frontend.signal('SIGCONT')
        }
        say('to the thief')
        await waitUntil(() => frontend.log.includes('an event lane was lost'), {
          deadlineMs: 60_000,
          describe: () => frontend.log,
        })
      }
      await waitUntil(
        async () => (await frontend.metric('frontend_partitions')) === 32 && (await frontend.isServing()),
        {
          deadlineMs: 60_000,
          describe: () => frontend.log,
        },
      )
      if (frozenMs > 0) {
        const taken = () =>
          neighbours.commands.some(
            ({ command }) => command?.$case === 'sendMessage' && command.value.body === 'meanwhile',
          )
        const refused = () => romeo.stanzas.some(({ attrs }) => attrs.id === 'meanwhile' && attrs.type === 'error')
        await waitUntil(() => taken() || refused(), { deadlineMs: 30_000, describe: () => frontend.log })
        if (taken()) await neighbours.command('sendMessage')
      }
      say('to the frontend again')
      await romeo.receives('<message><body>to the frontend again</body></message>', { deadlineMs: 30_000 })
      romeo.sends(`<message to="tybalt@${jid}" type="chat"><body>heard again</body></message>`)
      assert.equal((await neighbours.command('sendMessage')).value.body, 'heard again')
      assert.equal(await frontend.end('SIGTERM'), 0, frontend.log)
    })

  test('the active one loses its way to the server and a standby has one: the role goes there, and nobody is logged out', async context => {
    const proxy = await TcpProxy.start(prosody.componentPort)
    await using first = await Frontend.start({ ...surroundings, componentPort: proxy.port })
    await waitUntil(() => first.isServing(), { describe: () => first.log })
    await using second = await Frontend.start(surroundings)
    await using romeo = await login()
    romeo.sends(`<presence to="${jid}"/>`)
    await neighbours.command('setPresence')
    const logins = neighbours.logins.length
    const hears = (body: string) => romeo.receives(`<message><body>${body}</body></message>`, { deadlineMs: 30_000 })
    const talks = async (from: number, to: number) => {
      for (let n = from; n < to; n++) romeo.sends(`<message to="tybalt@${jid}" type="chat"><body>${n}</body></message>`)
      for (let n = from; n < to; n++) assert.equal((await neighbours.command('sendMessage')).value.body, String(n))
    }
    for (let n = 0; n < 100; n++) say(`way ${n}`)
    await hears('way 99')
    await talks(0, 100)
    // What was asked before is answered after.
    const told = Promise.withResolvers<void>()
    neighbours.mayTell = told.promise
    romeo.sends(`<iq type="get" id="asked-before" to="${jid}"><query xmlns="jabber:iq:register"/></iq>`)
    await waitUntil(() => neighbours.asked > 0)
    const cutAt = performance.now()
    await proxy[Symbol.asyncDispose]()
    told.resolve()
    for (let n = 100; n < 200; n++) say(`way ${n}`)
    await waitUntil(() => second.isServing(), { deadlineMs: 25_000, describe: () => `${first.log}\n${second.log}` })
    context.diagnostic(`the standby serves ${Math.round(performance.now() - cutAt)} ms after the way was lost`)
    await hears('way 199')
    await romeo.receives('<iq id="asked-before" type="result"/>', { deadlineMs: 10_000 })
    await talks(100, 200)
    const arrived = romeo.stanzas.flatMap(stanza => stanza.getChildText('body') ?? [])
    assert.deepEqual(
      [...new Set(arrived.filter(body => body.startsWith('way ')))],
      Array.from({ length: 200 }, (_, n) => `way ${n}`),
    )
    assert.ok(!romeo.stanzas.some(({ attrs }) => attrs.type === 'unavailable'), 'nobody was logged out')
    assert.equal(neighbours.logins.length, logins)
    assert.match(first.log, /another frontend reaches the XMPP server/)
    assert.equal(await first.isActive(), false)
    // Back again, it stands by: the next one needs it.
    await using _again = await TcpProxy.start(prosody.componentPort, proxy.port)
    await waitUntil(() => first.isReady(), { deadlineMs: 20_000, describe: () => first.log })
    assert.equal(await second.isServing(), true)
    assert.equal(await second.end('SIGTERM'), 0, second.log)
    await waitUntil(() => first.isServing(), { deadlineMs: 20_000, describe: () => first.log })
    say('by the first again')
    await hears('by the first again')
  })

  test('the server is away from everybody for 8 s: the active one keeps its role, whoever reaches it first', async context => {
    const ways = [await TcpProxy.start(prosody.componentPort), await TcpProxy.start(prosody.componentPort)] as const
    await using first = await Frontend.start({ ...surroundings, componentPort: ways[0].port })
    await waitUntil(() => first.isServing(), { describe: () => first.log })
    await using second = await Frontend.start({ ...surroundings, componentPort: ways[1].port })
    await waitUntil(async () => (await first.metric('frontend_partitions')) === 32, { deadlineMs: 30_000 })
    await using romeo = await login()
    romeo.sends(`<presence to="${jid}"/>`)
    await neighbours.command('setPresence')
    await Promise.all(ways.map(way => way[Symbol.asyncDispose]()))
    await delay(8_000)
    await using _standbys = await TcpProxy.start(prosody.componentPort, ways[1].port)
    await delay(1_000)
    await using _owners = await TcpProxy.start(prosody.componentPort, ways[0].port)
    const backAt = performance.now()
    await waitUntil(() => first.isServing(), { deadlineMs: 20_000, describe: () => first.log })
    context.diagnostic(`serves again ${Math.round(performance.now() - backAt)} ms after the server was back`)
    say('still by the first')
    await romeo.receives('<message><body>still by the first</body></message>', { deadlineMs: 20_000 })
    // By then whoever had been asked to give way would have done so.
    await delay(5_000)
    assert.equal(await first.metric('frontend_partitions'), 32)
    assert.equal(await first.isServing(), true)
    assert.doesNotMatch(second.log, /this frontend is active/)
  })

  test('one with a wrong secret does not keep the role from one with the right one', async context => {
    await using first = await Frontend.launch({ ...surroundings, secret: 'something-wrong-77' })
    await waitUntil(() => first.isActive(), { deadlineMs: 20_000, describe: () => first.log })
    const startedAt = performance.now()
    await using second = await Frontend.launch(surroundings)
    await waitUntil(() => second.isServing(), { deadlineMs: 25_000, describe: () => `${first.log}\n${second.log}` })
    context.diagnostic(`the one with the right secret serves after ${Math.round(performance.now() - startedAt)} ms`)
  })

  test('a wrong secret is not ready, says why, and does not print it', async () => {
    const port = await freePort()
    const main = join(import.meta.dirname, '../src/main.ts')
    const flags = flagsOf(surroundings).filter(flag => !flag.startsWith('--service.password='))
    const child = spawn(process.execPath, [main, ...flags, `--http.port=${port}`], {
      env: { ...process.env, SPECTRUM_SERVICE_PASSWORD: 'something-wrong-77' },
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    let log = ''
    child.stdout.setEncoding('utf8').on('data', text => {
      log += text
    })
    try {
      await waitUntil(() => log.includes('refuses the component secret'), { deadlineMs: 30_000, describe: () => log })
      const ready = await fetch(`http://127.0.0.1:${port}/readyz`)
      assert.equal(ready.status, 503)
      assert.equal((await ready.text()).trim(), 'the component is not connected')
      assert.doesNotMatch(log, /something-wrong-77/)
    } finally {
      const exit = once(child, 'exit')
      child.kill('SIGTERM')
      const [code] = await exit
      assert.equal(code, 0, log)
    }
  })
})
