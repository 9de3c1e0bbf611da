import assert from 'node:assert/strict'
import { after, afterEach, before, beforeEach, test } from 'node:test'
import { backendResource } from '@spectrum/bus'
import { irc } from '@spectrum/irc'
import type { Network } from '@spectrum/network'
import type { RunningService } from '@spectrum/service-kit'
import { IrcClient, type IrcServer, startNgircd, waitUntil } from '@spectrum/stack'
import { instance, Neighbours } from './neighbours.ts'
import { workerHere } from './worker.ts'

let server: IrcServer
let neighbours: Neighbours
let workers: RunningService[] = []
const user = 'romeo@example.org'

before(async () => {
  server = await startNgircd()
})
after(async () => {
  await server?.[Symbol.asyncDispose]()
})
beforeEach(async () => {
  neighbours = await Neighbours.start()
  await addWorker()
  await neighbours.addBackend(0)
})
afterEach(async () => {
  await Promise.all(workers.map(worker => worker[Symbol.asyncDispose]()))
  workers = []
  await neighbours[Symbol.asyncDispose]()
})

async function addWorker(): Promise<void> {
  const more = [`--service.irc_server=127.0.0.1:${server.port}`, '--irc.flood_rate=0']
  const options = {
    network: irc as unknown as Network,
    limits: { firstRetryMs: 100, lastRetryMs: 500, missingMs: 200 },
  }
  workers.push(await workerHere(neighbours.nats.url, options, more))
}

/** Romeo is in the channel; the index behind what he was told so far. */
async function enter(channel: string): Promise<number> {
  await neighbours.register(user, 'romeo')
  neighbours.presence(user, 'orchard')
  neighbours.join(user, 'orchard', channel, 'romeo')
  return neighbours.hears(user, new RegExp(`orchard: subject ${channel}`))
}

const lines = (pattern: RegExp) => neighbours.told(user).flatMap(line => pattern.exec(line)?.[1] ?? [])
const numbers = (count: number) => Array.from({ length: count }, (_, i) => String(i))

test('the IRC server restarts: clients are told who left and who came, and nothing of themselves', async () => {
  const mercutio = await IrcClient.connect({ port: server.port, nick: 'mercutio' })
  await mercutio.join('#restart')
  const joined = await enter('#restart')
  await server.restart()
  await using tybalt = await IrcClient.connect({ port: server.port, nick: 'tybalt' })
  await tybalt.join('#restart')
  neighbours.say(user, 'orchard', '#restart', 'still here', 'm1')
  await neighbours.hears(user, /«still here» id=m1/, joined)
  await neighbours.hears(user, /orchard: here #restart\/tybalt/, joined)
  const since = neighbours.told(user).slice(joined)
  assert.ok(since.includes('orchard: gone #restart/mercutio'), since.join('\n'))
  // Who is first in the new channel is its operator: the rank is all that is new of oneself, if so.
  const isOperator = tybalt.hasSeen(/ 353 .*#restart :.*@romeo/)
  assert.deepEqual(
    since.filter(line => /romeo 110|subject|gone #restart\/romeo/.test(line)),
    isOperator ? ['orchard: here #restart/romeo 110'] : [],
  )
})

test('NATS restarts: the IRC connection stays, and nothing said meanwhile is lost in either direction', async () => {
  await using mercutio = await IrcClient.connect({ port: server.port, nick: 'mercutio' })
  await mercutio.join('#nats')
  const joined = await enter('#nats')
  await neighbours.nats.stop()
  for (let i = 0; i < 100; i++) mercutio.say('#nats', `in ${i}`)
  for (let i = 0; i < 100; i++) neighbours.say(user, 'orchard', '#nats', `out ${i}`, `o${i}`)
  await neighbours.nats.start()
  await neighbours.hears(user, /«out 99» id=o99/, joined)
  await neighbours.hears(user, /mercutio «in 99»/, joined)
  assert.deepEqual(lines(/«in (\d+)»/), numbers(100))
  assert.deepEqual(lines(/«out (\d+)» id/), numbers(100))
  assert.ok(!mercutio.hasSeen(/:romeo!\S+ (QUIT|PART)/))
})

test('NATS does not answer while the network floods: reading pauses, and everything arrives in order', async () => {
  await using mercutio = await IrcClient.connect({ port: server.port, nick: 'mercutio' })
  await mercutio.join('#flood')
  const joined = await enter('#flood')
  await neighbours.nats.kill('SIGSTOP')
  const count = 3_000
  const words = 'x'.repeat(200)
  for (let i = 0; i < count; i++) mercutio.say('#flood', `${i} ${words}`)
  // The answer to our own ping shows that the server has passed on what came before it.
  mercutio.send('PING :done')
  await mercutio.waitFor(/PONG .*done/, { deadlineMs: 30_000 })
  await neighbours.nats.kill('SIGCONT')
  await neighbours.hears(user, new RegExp(`«${count - 1} x`), joined)
  assert.deepEqual(lines(/mercutio «(\d+) x/), numbers(count))
})

test('a worker whose backend was given to another says nothing more and leaves the network', async () => {
  await using mercutio = await IrcClient.connect({ port: server.port, nick: 'mercutio' })
  await mercutio.join('#fence')
  const joined = await enter('#fence')
  await addWorker()
  const before = await neighbours.router.owners.ownerOf(backendResource(instance, 0))
  assert.ok(before !== undefined)
  neighbours.router.owners.reportDeath(before.process)
  await waitUntil(
    async () => (await neighbours.router.owners.ownerOf(backendResource(instance, 0)))?.process !== before.process,
    {
      deadlineMs: 10_000,
      describe: () => 'nobody took the backend over',
    },
  )
  await mercutio.waitFor(/:romeo!\S+ QUIT/)
  neighbours.say(user, 'orchard', '#fence', 'once', 'm1')
  await neighbours.hears(user, /«once» id=m1/, joined)
  await mercutio.waitFor(/PRIVMSG #fence :once/)
  mercutio.say('#fence', 'heard once')
  await neighbours.hears(user, /«heard once»/, joined)
  assert.equal(lines(/«(once)» id=m1/).length, 1)
  assert.equal(lines(/«(heard once)»/).length, 1)
})

test('somebody leaves while no worker runs: clients are told when the next one has joined again', async () => {
  await using mercutio = await IrcClient.connect({ port: server.port, nick: 'mercutio' })
  await using benvolio = await IrcClient.connect({ port: server.port, nick: 'benvolio' })
  await mercutio.join('#gap')
  await benvolio.join('#gap')
  const joined = await enter('#gap')
  await workers.pop()?.[Symbol.asyncDispose]()
  await benvolio.waitFor(/:romeo!\S+ QUIT/)
  mercutio.send('PART #gap')
  await benvolio.waitFor(/:mercutio!\S+ PART/)
  await addWorker()
  await neighbours.hears(user, /orchard: gone #gap\/mercutio/, joined)
  const since = neighbours.told(user).slice(joined)
  assert.deepEqual(
    since.filter(line => line.startsWith('orchard: ')),
    ['orchard: gone #gap/mercutio'],
  )
})

test('NATS is away for longer than the IRC server waits for a PONG: the user stays', async () => {
  await using impatient = await startNgircd({ pingTimeoutSeconds: 5, pongTimeoutSeconds: 5 })
  await using other = await Neighbours.start()
  const more = [`--service.irc_server=127.0.0.1:${impatient.port}`, '--irc.flood_rate=0']
  const worker = await workerHere(other.nats.url, { network: irc as unknown as Network }, more)
  try {
    await using mercutio = await IrcClient.connect({ port: impatient.port, nick: 'mercutio' })
    await mercutio.join('#patience')
    await other.addBackend(0)
    await other.register(user, 'romeo')
    other.presence(user, 'orchard')
    other.join(user, 'orchard', '#patience', 'romeo')
    const joined = await other.hears(user, /orchard: subject #patience/)
    await other.nats.stop()
    // The lease runs out after 12 s; three times the server's patience are left after that.
    const over = performance.now() + 42_000
    for (let asked = 0; performance.now() < over; asked++) {
      mercutio.send(`PING :still ${asked}`)
      await mercutio.waitFor(new RegExp(`PONG .*still ${asked}$`, 'm'))
      await new Promise(resolve => setTimeout(resolve, 500))
    }
    mercutio.say('#patience', 'still there?')
    await other.nats.start()
    await other.hears(user, /mercutio «still there\?»/, joined)
    other.say(user, 'orchard', '#patience', 'still here', 'm1')
    await other.hears(user, /«still here» id=m1/, joined)
    assert.ok(!mercutio.hasSeen(/:romeo!\S+ QUIT/))
  } finally {
    await worker[Symbol.asyncDispose]()
  }
})
