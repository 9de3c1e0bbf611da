import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { waitUntil } from '@spectrum/stack'
import { Neighbours } from './neighbours.ts'
import { WorkerProcess } from './worker.ts'

let neighbours: Neighbours
let current: WorkerProcess
const past: WorkerProcess[] = []
let isOver = false
const guilty = 'romeo@example.org'
const innocent = 'juliet@example.org'

/** What a launcher does: a worker that ended is started anew. */
async function keepWorker(): Promise<void> {
  while (!isOver) {
    current = new WorkerProcess(neighbours.nats.url, ['--parrot.allow_crash=1'])
    await current.exited
    past.push(current)
  }
}
let keeping: Promise<void>

before(async () => {
  neighbours = await Neighbours.start()
  keeping = keepWorker()
  await neighbours.addBackend(0)
})
after(async () => {
  isOver = true
  await current?.[Symbol.asyncDispose]()
  await keeping
  await neighbours?.[Symbol.asyncDispose]()
})

async function enter(user: string): Promise<number> {
  const nick = user.slice(0, user.indexOf('@'))
  const { generation } = await neighbours.register(user, nick)
  neighbours.presence(user, 'home')
  neighbours.join(user, 'home', 'flock', nick)
  await neighbours.hears(user, /home: subject flock/)
  return generation
}

const output = () => [...past, current].map(worker => worker.output).join('\n')

test('workers killed twice in a row: nothing is put aside, every line is said', async () => {
  await enter(innocent)
  const from = neighbours.told(innocent).length
  for (let i = 0; i < 30; i++) neighbours.say(innocent, 'home', 'flock', `line ${i}`, `l${i}`)
  for (let kill = 0; kill < 2; kill++) {
    const victim = current
    await victim.kill('SIGKILL')
    for (let i = 0; i < 10; i++)
      neighbours.say(innocent, 'home', 'flock', `line ${30 + kill * 10 + i}`, `l${30 + kill * 10 + i}`)
    await waitUntil(() => current !== victim && current.output.includes('a backend runs here'), {
      deadlineMs: 60_000,
      describe: output,
    })
  }
  await neighbours.hears(innocent, /id=l49/, from)
  const lines = neighbours
    .told(innocent)
    .slice(from)
    .flatMap(line => / id=l(\d+)$/.exec(line)?.[1] ?? [])
  assert.deepEqual(
    [...new Set(lines.map(Number))],
    Array.from({ length: 50 }, (_, i) => i),
  )
  assert.ok(!output().includes('put aside'), output())
})

test('a line that ends its worker again and again is put aside, its sender is told, and everybody else goes on', async () => {
  const generation = neighbours.generation
  await enter(guilty)
  const from = neighbours.told(innocent).length
  const guiltyFrom = neighbours.told(guilty).length
  const before = past.length
  neighbours.say(guilty, 'home', 'flock', '!crash', 'p1')
  const value = {
    to: { name: 'flock', node: 'flock', resource: '' },
    kind: 1 as const,
    body: 'alive',
    xhtml: '',
    originId: '',
    wantsReceipt: false,
    chatState: 0 as const,
  }
  neighbours.send(innocent, 'home', { $case: 'sendMessage', value }, 'i1', generation)
  neighbours.say(guilty, 'home', 'flock', 'and now', 'p2')
  const crashedMs = performance.now()
  await waitUntil(() => neighbours.told(guilty).some(line => /failed message p1/.test(line)), {
    deadlineMs: 60_000,
    describe: () => `${neighbours.told(guilty).slice(guiltyFrom).join('\n')}\n${output().slice(-6000)}`,
  })
  await waitUntil(
    () =>
      neighbours.told(guilty).some(line => /id=p2/.test(line)) &&
      neighbours
        .told(innocent)
        .slice(from)
        .some(line => /id=i1/.test(line)),
    {
      deadlineMs: 30_000,
      describe: () => `${neighbours.told(guilty).slice(guiltyFrom).join('\n')} ${output().slice(-7000)}`,
    },
  )
  const ms = performance.now() - crashedMs
  const crashes = past.length - before
  assert.ok(crashes >= 2 && crashes <= 4, `${crashes} workers died`)
  assert.ok(ms < 50_000, `${ms} ms until all else went on`)
  const failed = neighbours
    .told(guilty)
    .slice(guiltyFrom)
    .filter(line => /failed/.test(line))
  assert.deepEqual([...new Set(failed)].length, 1)
  console.log(`# ${crashes} crashes, ${Math.round(ms)} ms`)
})
