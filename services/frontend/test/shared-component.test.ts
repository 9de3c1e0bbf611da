import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import { instanceTopic, processTopic } from '@spectrum/bus'
import { MessageReceived } from '@spectrum/messages'
import {
  type EjabberdServer,
  freePort,
  type NatsServer,
  startEjabberd,
  startNats,
  waitUntil,
  XmppClient,
} from '@spectrum/stack'
import { Frontend } from './frontend-child.ts'
import { Neighbours } from './neighbours.ts'
import { TcpProxy } from './tcp-proxy.ts'

const jid = 'irc.localhost'
const secret = 'hush-hush-9000'
const names = ['romeo', 'juliet', 'mercutio', 'tybalt', 'benvolio', 'rosaline']

describe('frontends that share the connections of ejabberd', () => {
  let ejabberd: EjabberdServer
  let nats: NatsServer
  let neighbours: Neighbours

  before(async () => {
    ejabberd = await startEjabberd({
      component: { jid, secret },
      users: names.map(name => ({ name, password: 'secret' })),
    })
    nats = await startNats()
    neighbours = await Neighbours.start(nats.url, jid)
    for (const name of names) neighbours.registered.set(`${name}@localhost`, { username: name, password: '' })
  })
  after(async () => {
    await neighbours?.[Symbol.asyncDispose]()
    await nats?.[Symbol.asyncDispose]()
    await ejabberd?.[Symbol.asyncDispose]()
  })
  const many = ['--frontend.connections=many']
  const surroundings = (componentPort: number) => ({ jid, secret, natsUrl: nats.url, componentPort })
  const start = (port = ejabberd.componentPort) => Frontend.start(surroundings(port), many)
  const owns = (frontend: Frontend, partitions: number) =>
    waitUntil(async () => (await frontend.metric('frontend_partitions')) === partitions, {
      deadlineMs: 60_000,
      describe: () => frontend.log,
    })

  /** Holds so many connections in place of others, and they stand. */
  const holds = (frontend: Frontend, substitutes: number) =>
    waitUntil(
      async () =>
        (await frontend.metric('frontend_substitute_connections')) === substitutes &&
        [...frontend.log.matchAll(/component connected/g)].length >= 1 + substitutes,
      { deadlineMs: 30_000, describe: () => frontend.log },
    )

  /** All users, signed in. */
  const signIn = async () => {
    const clients = new AsyncDisposableStack()
    const all = await Promise.all(
      names.map(name =>
        XmppClient.connect({
          port: ejabberd.clientPort,
          domain: 'localhost',
          name,
          password: 'secret',
          resource: 'desk',
        }),
      ),
    )
    for (const client of all) {
      clients.use(client)
      client.sends(`<presence to="${jid}"/>`)
      await neighbours.command('setPresence', client.bareJid)
    }
    return { all, [Symbol.asyncDispose]: () => clients.disposeAsync() }
  }
  /** Something for the user, from the network. */
  const tell = (client: XmppClient, body: string) =>
    neighbours.tell(`${client.bareJid}/desk`, {
      $case: 'messageReceived',
      value: MessageReceived.fromPartial({ from: { name: '#verona', resource: 'nurse' }, kind: 1, body }),
    })
  let lines = 0
  /** How many of them are heard when each says something. */
  const heardOf = async (clients: readonly XmppClient[], what: string): Promise<number> => {
    const line = `${what}, ${++lines}`
    for (const client of clients) client.sends(`<message to="nurse@${jid}" type="chat"><body>${line}</body></message>`)
    const heard = () =>
      clients.filter(client =>
        neighbours.commands.some(
          ({ user, command }) =>
            user === client.bareJid && command?.$case === 'sendMessage' && command.value.body === line,
        ),
      ).length
    for (let look = 0; look < 20 && heard() < clients.length; look++) await delay(100)
    return heard()
  }

  test('shares are even, all is confirmed and in order, and what a dead one had is taken over', async context => {
    await using first = await start()
    await owns(first, 32)
    await using second = await start()
    await Promise.all([owns(first, 16), owns(second, 16)])
    await using signedIn = await signIn()
    const clients = signedIn.all
    const heard = (client: XmppClient) => client.stanzas.flatMap(stanza => stanza.getChildText('body') ?? [])
    const round = async (from: number, to: number) => {
      for (let n = from; n < to; n++) {
        for (const client of clients) {
          tell(client, `line ${n}`)
          client.sends(`<message to="nurse@${jid}" type="chat"><body>line ${n}</body></message>`)
        }
      }
      for (const client of clients) {
        await waitUntil(() => heard(client).includes(`line ${to - 1}`), {
          deadlineMs: 40_000,
          describe: () => `${heard(client).length}\n${first.log}\n${second.log}`,
        })
        for (let n = from; n < to; n++)
          assert.equal((await neighbours.command('sendMessage', client.bareJid)).value.body, `line ${n}`)
      }
    }
    await round(0, 200)
    // Both write, and both have their events confirmed though barriers come back on one connection only.
    for (const frontend of [first, second]) {
      assert.ok((await frontend.metric('frontend_stanzas_sent_total')) > 0, frontend.log)
      await waitUntil(async () => (await frontend.metric('frontend_unconfirmed_events')) === 0, {
        deadlineMs: 20_000,
        describe: () => frontend.log,
      })
      assert.equal(await frontend.metric('frontend_streams_lost_total'), 0)
    }
    const forwarded =
      (await first.metric('frontend_forwarded_total')) + (await second.metric('frontend_forwarded_total'))
    assert.ok(forwarded > 0, 'barriers come back on one connection')
    context.diagnostic(`${forwarded} stanzas were passed on`)
    for (const client of clients)
      assert.deepEqual(
        heard(client),
        Array.from({ length: 200 }, (_, n) => `line ${n}`),
      )

    const killedAt = performance.now()
    await first.end('SIGKILL')
    await owns(second, 32)
    context.diagnostic(`all partitions were the other's ${Math.round(performance.now() - killedAt)} ms after the kill`)

    // ejabberd drops what is for a connection that is missing of its `component_number`: the other one holds two.
    await holds(second, 1)
    context.diagnostic(`it held both connections ${Math.round(performance.now() - killedAt)} ms after the kill`)
    await round(200, 250)
    await using third = await start()
    await Promise.all([owns(second, 16), owns(third, 16), holds(second, 0)])
    await round(250, 300)
    assert.ok((await third.metric('frontend_stanzas_received_total')) > 0, 'the new one has its share of commands')
    assert.equal(await second.end('SIGTERM'), 0, second.log)
    await owns(third, 32)
    await holds(third, 1)
    await round(300, 350)
    await using fourth = await start()
    await Promise.all([owns(third, 16), owns(fourth, 16), holds(third, 0)])
    await round(350, 400)
    for (const client of clients) {
      assert.deepEqual(
        [...new Set(heard(client))],
        Array.from({ length: 400 }, (_, n) => `line ${n}`),
      )
      await client[Symbol.asyncDispose]()
    }
    assert.equal(await third.end('SIGTERM'), 0, third.log)
    assert.equal(await fourth.end('SIGTERM'), 0, fourth.log)
  })

  /** Two frontends that share; the other one reaches ejabberd by a proxy. */
  const startTwo = async (resources: AsyncDisposableStack) => {
    const first = resources.use(await start())
    await owns(first, 32)
    const proxy = resources.use(await TcpProxy.start(ejabberd.componentPort))
    const second = resources.use(await start(proxy.port))
    await Promise.all([owns(first, 16), owns(second, 16)])
    return { first, second, proxy }
  }

  test('one that lives and has lost its way to the server is substituted, and gets its place back', async context => {
    await using resources = new AsyncDisposableStack()
    const { first, second, proxy } = await startTwo(resources)
    const { port } = proxy
    const cutAt = performance.now()
    await proxy[Symbol.asyncDispose]()
    await holds(first, 1)
    context.diagnostic(`both places were filled ${Math.round(performance.now() - cutAt)} ms after the cut`)
    assert.ok(performance.now() - cutAt < 5_000, 'it is less than a second')
    await owns(first, 32)
    resources.use(await TcpProxy.start(ejabberd.componentPort, port))
    await Promise.all([owns(second, 16), holds(first, 0)])
    const before = await second.metric('frontend_stanzas_received_total')
    const clients = await Promise.all(
      names.map(name =>
        XmppClient.connect({ port: ejabberd.clientPort, domain: 'localhost', name, password: 'secret', resource: 'x' }),
      ),
    )
    for (const client of clients) {
      client.sends(`<message to="nurse@${jid}" type="chat"><body>after the cut</body></message>`)
      assert.equal((await neighbours.command('sendMessage', client.bareJid)).value.body, 'after the cut')
    }
    assert.ok((await second.metric('frontend_stanzas_received_total')) > before, 'its connection is one of those')
    for (const client of clients) await client[Symbol.asyncDispose]()
  })

  test('places that nobody has from the start are taken', async () => {
    await using first = await start()
    // The server counts on two.
    await holds(first, 1)
    await using clients = await signIn()
    assert.equal(await heardOf(clients.all, 'by one frontend'), names.length)
  })

  test('a machine dies without a word that barriers come back by: all is confirmed, and its place is taken when the server knows', async context => {
    await using resources = new AsyncDisposableStack()
    const proxies = [await TcpProxy.start(ejabberd.componentPort), await TcpProxy.start(ejabberd.componentPort)]
    for (const proxy of proxies) resources.use(proxy)
    const frontends = await Promise.all(proxies.map(({ port }) => start(port)))
    for (const frontend of frontends) resources.use(frontend)
    await Promise.all(frontends.map(frontend => owns(frontend, 16)))
    const { all } = resources.use(await signIn())
    assert.equal(await heardOf(all, 'by both'), names.length)
    // The other's barriers are passed on by the one that they come back by: one for each line here, and few other things.
    const forwarded = () => Promise.all(frontends.map(frontend => frontend.metric('frontend_forwarded_total')))
    const before = await forwarded()
    for (let n = 0; n < 100; n++) {
      for (const client of all) tell(client, `line ${n}`)
      await delay(10)
    }
    const growth = (await forwarded()).map((count, index) => count - (before[index] ?? 0))
    const victim = growth.indexOf(Math.max(...growth))
    assert.ok(Math.max(...growth) > 2 * Math.min(...growth) + 20, growth.join())
    const [dead, other] = [frontends[victim], frontends[1 - victim]] as [Frontend, Frontend]
    proxies[victim]?.deaf(true)
    await dead.end('SIGKILL')
    await Promise.all([holds(other, 1), owns(other, 32)])
    const without = await heardOf(all, 'while the server does not know')
    assert.ok(without < names.length, 'it still gives the dead connection its share')
    // While more and more is said.
    let told = 0
    const talk = setInterval(() => {
      for (const client of all) tell(client, `talk ${told}`)
      told++
    }, 500)
    resources.defer(() => clearInterval(talk))
    await waitUntil(async () => (await other.metric('frontend_lost_place_probes')) > 0, {
      deadlineMs: 60_000,
      describe: () => other.log,
    })
    // As long as it takes to give a stream up, and more.
    await delay(20_000)
    assert.equal(await other.metric('frontend_streams_lost_total'), 0)
    proxies[victim]?.reset()
    const knownAt = performance.now()
    await waitUntil(async () => (await other.metric('frontend_lost_place_probes')) === 0, {
      deadlineMs: 120_000,
      describe: () => other.log,
    })
    context.diagnostic(
      `${names.length - without} of ${names.length} were not heard; all places were read ${Math.round(performance.now() - knownAt)} ms after the server knew`,
    )
    assert.equal(await heardOf(all, 'after'), names.length)
    clearInterval(talk)
    await waitUntil(async () => (await other.metric('frontend_unconfirmed_events')) === 0, {
      deadlineMs: 40_000,
      describe: () => other.log,
    })
    assert.equal(await other.metric('frontend_streams_lost_total'), 0)
    for (const client of all)
      assert.deepEqual(
        client.stanzas.flatMap(stanza => stanza.getChildText('body') ?? []).filter(body => body.startsWith('talk ')),
        Array.from({ length: told }, (_, n) => `talk ${n}`),
      )
    assert.match(other.log, /a connection that it counts on is dead or missing/)
  })

  test('when the server was away for all, both come back together and keep their partitions', async () => {
    await using resources = new AsyncDisposableStack()
    const proxies = [await TcpProxy.start(ejabberd.componentPort), await TcpProxy.start(ejabberd.componentPort)]
    const frontends = await Promise.all(proxies.map(({ port }) => start(port)))
    for (const frontend of frontends) resources.use(frontend)
    await Promise.all(frontends.map(frontend => owns(frontend, 16)))
    const logs = frontends.map(({ log }) => log.length)
    for (const proxy of proxies) await proxy[Symbol.asyncDispose]()
    // Longer than one alone keeps its partitions, and tries have become rare.
    await delay(6_000)
    for (const { port } of proxies) resources.use(await TcpProxy.start(ejabberd.componentPort, port))
    await waitUntil(async () => (await Promise.all(frontends.map(frontend => frontend.isServing()))).every(Boolean), {
      deadlineMs: 30_000,
      describe: () => frontends.map(({ log }) => log).join('\n'),
    })
    for (let look = 0; look < 20; look++) {
      for (const frontend of frontends) assert.equal(await frontend.metric('frontend_partitions'), 16)
      await delay(100)
    }
    for (const [index, { log }] of frontends.entries()) {
      assert.doesNotMatch(log.slice(logs[index]), /connections are held in place/, 'none was waited for')
      assert.doesNotMatch(log.slice(logs[index]), /an event lane was lost/)
    }
  })

  test('what is no word of another frontend, or no stanza, harms nobody and is counted', async () => {
    await using first = await start()
    await owns(first, 32)
    await using client = await XmppClient.connect({
      ...{ port: ejabberd.clientPort, domain: 'localhost', name: 'romeo', password: 'secret', resource: 'z' },
    })
    // The server counts on two.
    await holds(first, 1)
    client.sends(`<presence to="${jid}"/>`)
    await neighbours.command('setPresence', client.bareJid)
    const { worker, instance } = neighbours
    const frontend = await waitUntil(() => worker.owners.processes('frontend')[0])
    const huge = `${'x'.repeat(400_000)} ${'y'.repeat(400_000)}`
    const payloads = [
      '',
      ' ',
      'garbage',
      huge,
      '\0',
      '<message>',
      '<stream:stream>',
      '<message/></stream:stream>',
      '</a>',
    ]
    for (const payload of payloads) {
      for (const word of ['stanza', 'write', 'room', 'heard', 'reaching'])
        worker.notify(processTopic(instance, frontend.process, word), Buffer.from(payload))
      for (const word of ['take-over', 'joining', 'leaving', 'left', 'forwarded'])
        worker.notify(instanceTopic(instance, word), Buffer.from(payload))
    }
    // One is a stanza, with something behind it, but none that the gateway may write; and nothing names a process.
    const unreadable = 2 * payloads.length - 1 + 4 * payloads.length
    await waitUntil(async () => (await first.metric('dropped_total')) >= unreadable, {
      describe: () => first.log,
    })
    client.sends(`<message to="nurse@${jid}" type="chat"><body>behind all that</body></message>`)
    await waitUntil(() =>
      neighbours.commands.some(
        ({ command }) => command?.$case === 'sendMessage' && command.value.body === 'behind all that',
      ),
    )
    assert.equal(await first.metric('frontend_streams_lost_total'), 0)
    assert.equal(await first.metric('frontend_partitions'), 32)
  })

  test('one that cannot reach the server takes nobody’s place, and one that died as soon as it came has none', async () => {
    await using first = await start()
    await owns(first, 32)
    {
      await using second = await start()
      await Promise.all([owns(first, 16), owns(second, 16)])
      const killedAt = performance.now()
      await second.end('SIGKILL')
      await holds(first, 1)
      assert.ok(performance.now() - killedAt < 7_500, 'it is about a second')
    }
    await using stranger = await Frontend.launch(surroundings(await freePort()), many)
    await waitUntil(() => stranger.log.includes('component connection failed'), {
      deadlineMs: 30_000,
      describe: () => stranger.log,
    })
    for (let look = 0; look < 50; look++) {
      assert.equal(await first.metric('frontend_substitute_connections'), 1)
      await delay(100)
    }
  })
})
