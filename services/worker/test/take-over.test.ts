import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { backendResource } from '@spectrum/bus'
import type { SessionSnapshot } from '@spectrum/messages'
import { waitUntil } from '@spectrum/stack'
import { instance, Neighbours } from './neighbours.ts'
import { WorkerProcess } from './worker.ts'

let neighbours: Neighbours
const workers: WorkerProcess[] = []

before(async () => {
  neighbours = await Neighbours.start()
})
after(async () => {
  await Promise.all(workers.map(worker => worker[Symbol.asyncDispose]()))
  await neighbours?.[Symbol.asyncDispose]()
})

async function startWorkers(count: number): Promise<void> {
  for (let i = 0; i < count; i++) workers.push(new WorkerProcess(neighbours.nats.url))
  await waitUntil(() => workers.every(worker => worker.output.includes('the service runs')), {
    deadlineMs: 30_000,
    describe: () => workers.map(worker => worker.output).join('\n'),
  })
}

const ownerOf = (backend: number) => neighbours.router.owners.ownerOf(backendResource(instance, backend))

test('backends spread over workers', async () => {
  await startWorkers(2)
  for (let backend = 0; backend < 6; backend++) await neighbours.addBackend(backend)
  const owned = () => workers.map(worker => worker.backends.length)
  await waitUntil(() => owned().reduce((a, b) => a + b, 0) === 6, {
    deadlineMs: 15_000,
    describe: () => workers.map(worker => worker.output).join('\n'),
  })
  assert.ok(Math.min(...owned()) >= 2, `unevenly spread: ${owned()}`)
})

test('a worker is killed: another one has its sessions, rooms and unfinished lines, and clients see nothing of it', async () => {
  const user = 'romeo@example.org'
  await neighbours.register(user, 'romeo')
  neighbours.presence(user, 'orchard')
  neighbours.join(user, 'orchard', 'flock', 'romeo', 'j1')
  const joined = await neighbours.hears(user, /orchard: subject flock/)
  neighbours.say(user, 'orchard', 'flock', 'before', 'm1')
  await neighbours.hears(user, /«before» id=m1/, joined)

  const isSettled = ({ rooms }: SessionSnapshot) =>
    rooms[0]?.resources[0] === 'orchard' && !('orchard' in rooms[0].pending)
  await neighbours.stored(user, 0, isSettled)

  const owner = await ownerOf(0)
  const victim = workers.find(worker => owner?.process.includes(`-${worker.child.pid}-`))
  assert.ok(victim !== undefined, `no worker is ${owner?.process}`)
  const from = neighbours.told(user).length
  const startedMs = performance.now()
  for (let i = 0; i < 50; i++) neighbours.say(user, 'orchard', 'flock', `line ${i}`, `l${i}`)
  await victim.kill('SIGKILL')
  for (let i = 50; i < 100; i++) neighbours.say(user, 'orchard', 'flock', `line ${i}`, `l${i}`)
  await neighbours.hears(user, /«line 99» id=l99/, from)
  const gapMs = performance.now() - startedMs
  workers.splice(workers.indexOf(victim), 1)

  const since = neighbours.told(user).slice(from)
  const lines = since.map(line => / id=l(\d+)$/.exec(line)?.[1]).filter(each => each !== undefined)
  const distinct = [...new Set(lines.map(Number))]
  assert.deepEqual(
    distinct,
    Array.from({ length: 100 }, (_, i) => i),
    `lost or out of order: ${lines}`,
  )
  assert.ok(lines.length <= 100 + 64, `${lines.length - 100} lines are doubled`)
  // The join itself may be told again when its place in the cursor was not written yet.
  const told = since.filter(line => /gateway|gone/.test(line))
  assert.deepEqual(told, [])
  assert.ok(gapMs < 10_000, `${gapMs} ms until all was said`)
  const epochs = new Set(neighbours.events.filter(event => event.user === user).map(event => event.epoch))
  assert.equal(epochs.size, 2)
})

test('a worker that is asked to stop hands its backends over and exits cleanly', async () => {
  const user = 'benvolio@example.org'
  await neighbours.register(user, 'benvolio')
  neighbours.presence(user, 'street')
  // Alone: others in a room of the pretend network come back when it is their turn, after this one.
  neighbours.join(user, 'street', 'square', 'benvolio')
  const joined = await neighbours.hears(user, /street: subject square/)
  await startWorkers(1)
  const owner = await ownerOf(0)
  const leaving = workers.find(worker => owner?.process.includes(`-${worker.child.pid}-`))
  assert.ok(leaving !== undefined)
  const exited = leaving.kill('SIGTERM')
  for (let i = 0; i < 20; i++) neighbours.say(user, 'street', 'square', `line ${i}`, `l${i}`)
  await neighbours.hears(user, /«line 19» id=l19/, joined)
  assert.equal(await exited, 0, leaving.output)
  workers.splice(workers.indexOf(leaving), 1)
  const lines = neighbours.told(user).filter(line => / id=l\d+$/.test(line))
  assert.equal(lines.length, 20, 'a hand-over doubles nothing')
  assert.deepEqual(
    neighbours
      .told(user)
      .slice(joined)
      .filter(line => /gateway|110|gone/.test(line)),
    [],
  )
})
