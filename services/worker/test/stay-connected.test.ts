import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { irc } from '@spectrum/irc'
import { Show, StopSession_Reason } from '@spectrum/messages'
import type { Network } from '@spectrum/network'
import { IrcClient, type IrcServer, startNgircd, waitUntil } from '@spectrum/stack'
import { Neighbours } from './neighbours.ts'
import { workerHere } from './worker.ts'

let neighbours: Neighbours
let server: IrcServer
let worker: Awaited<ReturnType<typeof workerHere>>
let mercutio: IrcClient

const startWorker = () =>
  workerHere(neighbours.nats.url, { network: irc as unknown as Network, limits: { leaveMs: 500 } }, [
    `--service.irc_server=127.0.0.1:${server.port}`,
    '--irc.flood_rate=0',
    '--settings.stay_connected=1',
  ])

before(async () => {
  neighbours = await Neighbours.start()
  server = await startNgircd()
  worker = await startWorker()
  await neighbours.addBackend(0)
  mercutio = await IrcClient.connect({ port: server.port, nick: 'mercutio' })
})
after(async () => {
  await mercutio?.[Symbol.asyncDispose]()
  await worker?.[Symbol.asyncDispose]()
  await server?.[Symbol.asyncDispose]()
  await neighbours?.[Symbol.asyncDispose]()
})

async function joined(name: string, resource: string, room: string, nick = name): Promise<string> {
  const user = `${name}@example.org`
  await mercutio.join(room)
  await neighbours.register(user, name)
  neighbours.presence(user, resource)
  neighbours.join(user, resource, room, nick)
  await neighbours.hears(user, new RegExp(`${resource}: subject ${room}`))
  return user
}

const goes = (user: string, resource: string) => neighbours.presence(user, resource, Show.SHOW_OFFLINE)

const goings = (nick: string) => mercutio.lines.filter(line => new RegExp(`^:${nick}!\\S* (PART|QUIT|KICK)`).test(line))

const bodiesOf = (user: string, from: number) =>
  neighbours
    .told(user)
    .slice(from)
    .flatMap(line => /message #\S+ «(.*)»/.exec(line)?.[1] ?? [])

async function dropped(reason: string): Promise<number> {
  const metrics = await worker.metrics()
  const found = new RegExp(`^spectrum_dropped_total\\{kind="message",reason="${reason}"\\} (\\d+)$`, 'm').exec(metrics)
  return Number(found?.[1] ?? 0)
}

/** Waits until the network shows the user so: what WHOIS says of being away. */
async function isAway(nick: string, wanted: boolean): Promise<void> {
  await waitUntil(
    async () => {
      const from = mercutio.lines.length
      mercutio.send(`WHOIS ${nick}`)
      await waitUntil(() => mercutio.lines.slice(from).some(line => / 318 /.test(line)))
      return mercutio.lines.slice(from).some(line => / 301 /.test(line)) === wanted
    },
    { everyMs: 100, describe: () => mercutio.lines.slice(-10).join('\n') },
  )
}

test('without a client the user stays, away, and the next one that comes in is told the last 100 lines', async () => {
  const user = await joined('romeo', 'orchard', '#verona')
  goes(user, 'orchard')
  await isAway('romeo', true)
  const from = neighbours.told(user).length
  const before = Date.now()
  const lines = Array.from({ length: 120 }, (_, i) => `line ${i}`)
  for (const line of lines) mercutio.send(`PRIVMSG #verona :${line}`)
  mercutio.send('PRIVMSG romeo :where art thou?')
  // Whoever is not there is told by their server.
  await neighbours.hears(user, /^bare: message mercutio «where art thou\?»/, from)
  await neighbours.stored(user, 0, ({ missedLines }) => missedLines.at(-1)?.message?.body === 'line 119')
  assert.deepEqual(bodiesOf(user, from), [])

  // The last owner is gone; what it stored the next one tells.
  await worker[Symbol.asyncDispose]()
  worker = await startWorker()
  await isAway('romeo', true)

  neighbours.presence(user, 'phone')
  neighbours.join(user, 'phone', '#verona', 'romeo')
  await neighbours.hears(user, /phone: subject #verona/, from)
  const told = neighbours
    .told(user)
    .slice(from)
    .filter(line => line.includes('#verona'))
  assert.deepEqual(told, [
    'phone: here #verona/mercutio',
    'phone: here #verona/romeo 110',
    ...lines.slice(20).map(line => `phone: message #verona/mercutio «${line}»`),
    'phone: subject #verona «»',
  ])
  for (const { event } of neighbours.events)
    if (event?.$case === 'messageReceived' && event.value.body.startsWith('line')) {
      const { delayedAtMs = 0 } = event.value
      assert.ok(delayedAtMs >= before && delayedAtMs <= Date.now())
    }
  await isAway('romeo', false)
  mercutio.send('PRIVMSG #verona :welcome')
  await neighbours.hears(user, /phone: message #verona.mercutio «welcome»/, from)
})

test('lines that give way to newer ones are counted', async () => {
  const user = await joined('benvolio', 'street', '#square')
  goes(user, 'street')
  const before = await dropped('missed-lines-full')
  for (let i = 0; i < 105; i++) mercutio.send(`PRIVMSG #square :line ${i}`)
  await neighbours.stored(user, 0, ({ missedLines }) => missedLines.at(-1)?.message?.body === 'line 104')
  assert.equal((await dropped('missed-lines-full')) - before, 5)
})

test('the others of a user’s rooms do not see a client go and another come', async () => {
  const user = await joined('balthasar', 'mantua', '#tomb')
  neighbours.leave(user, 'mantua', '#tomb', 'balthasar')
  goes(user, 'mantua')
  await isAway('balthasar', true)
  mercutio.send('PRIVMSG #tomb :one')
  await neighbours.stored(user, 0, ({ missedLines }) => missedLines.length === 1)
  const from = neighbours.told(user).length
  neighbours.presence(user, 'verona')
  // Under another nick: the one that the user has there is assigned.
  neighbours.join(user, 'verona', '#tomb', 'servant')
  await neighbours.hears(user, /verona: here #tomb.balthasar 110,210/, from)
  await neighbours.hears(user, /verona: subject #tomb/, from)
  assert.deepEqual(bodiesOf(user, from), ['one'])
  assert.deepEqual(goings('balthasar'), [])
})

test('a client that is in a room and nowhere else counts as there', async () => {
  const user = 'laurence@example.org'
  await mercutio.join('#abbey')
  await neighbours.register(user, 'laurence')
  neighbours.join(user, 'cell', '#abbey', 'laurence')
  const entered = await neighbours.hears(user, /cell: subject #abbey/)
  await isAway('laurence', false)
  neighbours.leave(user, 'cell', '#abbey', 'laurence')
  await isAway('laurence', true)
  neighbours.join(user, 'cell', '#abbey', 'laurence')
  await neighbours.hears(user, /cell: subject #abbey/, entered)
  await isAway('laurence', false)
  assert.deepEqual(goings('laurence'), [])
})

test('who leaves a room and is still there leaves it on the network too', async () => {
  const user = await joined('paris', 'church', '#crypt')
  neighbours.leave(user, 'church', '#crypt', 'paris')
  await mercutio.waitFor(/^:paris!\S+ PART #crypt/)
  const from = neighbours.told(user).length
  neighbours.join(user, 'church', '#crypt', 'paris')
  await neighbours.hears(user, /church: subject #crypt/, from)
})

test('who is kicked while no client is there is told so by the gateway', async () => {
  const user = await joined('gregory', 'yard', '#yard')
  goes(user, 'yard')
  await isAway('gregory', true)
  mercutio.send('KICK #yard gregory :no brawls')
  await neighbours.hears(user, /^bare: message \S*\s?«You were kicked from #yard: no brawls»/)
  const from = neighbours.told(user).length
  neighbours.presence(user, 'street')
  neighbours.join(user, 'street', '#yard', 'gregory')
  await neighbours.hears(user, /street: subject #yard/, from)
})

test('the user’s own setting counts more than the default', async () => {
  const user = 'tybalt@example.org'
  neighbours.accounts.set(user, { username: 'tybalt', password: '', settings: { stay_connected: '0' } })
  await neighbours.place(user, 0)
  await mercutio.join('#street')
  neighbours.presence(user, 'sword')
  neighbours.join(user, 'sword', '#street', 'tybalt')
  await neighbours.hears(user, /sword: subject #street/)
  goes(user, 'sword')
  await mercutio.waitFor(/^:tybalt!\S+ (PART|QUIT)/)
  await waitUntil(() => neighbours.released.some(each => each.startsWith(user)))
})

test('who unregisters is signed out, and what was kept goes', async () => {
  const user = await joined('friar', 'cell', '#garden')
  goes(user, 'cell')
  mercutio.send('PRIVMSG #garden :one')
  await neighbours.stored(user, 0, ({ missedLines }) => missedLines.length === 1)
  neighbours.send(user, '', {
    $case: 'stopSession',
    value: { reason: StopSession_Reason.REASON_UNREGISTERED, text: '' },
  })
  await mercutio.waitFor(/^:friar!\S+ QUIT/)
  await waitUntil(() => neighbours.released.some(each => each.startsWith(user)))
  assert.equal(await dropped('signed-out'), 1)
})
