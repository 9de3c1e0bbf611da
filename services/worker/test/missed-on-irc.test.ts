import assert from 'node:assert/strict'
import { after, test } from 'node:test'
import { backendResource } from '@spectrum/bus'
import { ErgoUnavailableError, findErgo, IrcClient, startErgo, startNgircd, waitUntil } from '@spectrum/stack'
import { instance, Neighbours } from './neighbours.ts'
import { WorkerProcess } from './worker.ts'

const user = 'romeo@example.org'
const workers: WorkerProcess[] = []
after(() => Promise.all(workers.map(worker => worker[Symbol.asyncDispose]())))

/** One that keeps no past, and Ergo, which does, where it can be had. */
async function servers() {
  const plain = { name: 'ngIRCd', start: startNgircd, keepsPast: false }
  try {
    await findErgo()
    return [plain, { name: 'Ergo', start: startErgo, keepsPast: true }]
  } catch (error) {
    if (!(error instanceof ErgoUnavailableError)) throw error
    console.log(`not tried on Ergo: ${error.message}`)
    return [plain]
  }
}

async function startWorker(neighbours: Neighbours, port: number): Promise<WorkerProcess> {
  const flags = [`--service.irc_server=127.0.0.1:${port}`, '--irc.flood_rate=0']
  const worker = new WorkerProcess(neighbours.nats.url, flags, 'irc')
  workers.push(worker)
  await waitUntil(() => worker.output.includes('the service runs'), {
    deadlineMs: 30_000,
    describe: () => worker.output,
  })
  return worker
}

/** The account that the gateway logs in to with the stored password. */
async function registerAccount(port: number): Promise<void> {
  await using owner = await IrcClient.connect({ port, nick: 'romeo' })
  owner.send('NS REGISTER cracker')
  await owner.waitFor(/ 900 |ccount created/)
}

for (const { name, start, keepsPast } of await servers())
  for (const signal of ['SIGKILL', 'SIGTERM'] as const)
    test(`${name}: what is said while a worker goes by ${signal} comes in order, ${keepsPast ? 'all of it' : 'but for one gap'}`, async () => {
      await using neighbours = await Neighbours.start()
      await using server = await start()
      await neighbours.addBackend(0)
      const first = await startWorker(neighbours, server.port)
      await using mercutio = await IrcClient.connect({ port: server.port, nick: 'mercutio' })
      await mercutio.join('#verona')
      if (keepsPast) await registerAccount(server.port)
      await neighbours.register(user, 'romeo')
      neighbours.presence(user, 'orchard')
      neighbours.join(user, 'orchard', '#verona', 'romeo', 'j1')
      await neighbours.hears(user, /orchard: subject #verona/)
      const second = await startWorker(neighbours, server.port)
      const ownerOf = () => neighbours.router.owners.ownerOf(backendResource(instance, 0))
      const owner = await ownerOf()
      const victim = [first, second].find(worker => owner?.process.includes(`-${worker.child.pid}-`))
      assert.ok(victim, `no worker is ${owner?.process}`)
      let said = 0
      const speak = (count: number) => {
        for (const end = said + count; said < end; said++) mercutio.send(`PRIVMSG #verona :line ${said}`)
      }
      const talking = setInterval(() => speak(5), 10)
      try {
        await neighbours.hears(user, /«line 200»/)
        await victim.kill(signal)
        const back = async () => (await ownerOf())?.process !== owner?.process
        await waitUntil(back, { deadlineMs: 60_000 })
        const reached = said
        await neighbours.hears(user, new RegExp(`«line ${reached + 100}»`))
      } finally {
        clearInterval(talking)
      }
      speak(1)
      await neighbours.hears(user, new RegExp(`«line ${said - 1}»`))
      const heard = neighbours
        .told(user)
        .flatMap(line => /message #verona\/mercutio «line (\d+)»/.exec(line)?.[1] ?? [])
      const numbers = heard.map(Number)
      const once = [...new Set(numbers)]
      assert.deepEqual(
        once,
        once.toSorted((one, other) => one - other),
      )
      // Who has no connection hears nothing: from the line behind the last that was heard to the first that is heard again.
      const gaps = once.filter((line, index) => line !== (once[index - 1] ?? -1) + 1)
      assert.ok(gaps.length <= (keepsPast ? 0 : 1), `lines are missing before ${gaps.join(' and ')}`)
      // What is told again was told since the last snapshot; frontends know it by its id.
      const doubled = numbers.length - once.length
      assert.ok(doubled <= (signal === 'SIGTERM' ? 0 : 1_000), `${doubled} of ${said} were told twice`)
    })
