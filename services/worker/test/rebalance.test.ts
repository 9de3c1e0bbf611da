import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { backendResource } from '@spectrum/bus'
import { waitUntil } from '@spectrum/stack'
import { instance, Neighbours } from './neighbours.ts'
import { WorkerProcess } from './worker.ts'

let neighbours: Neighbours
const workers: WorkerProcess[] = []
const user = 'romeo@example.org'
const backends = 6

before(async () => {
  neighbours = await Neighbours.start()
  for (let number = 0; number < backends; number++) await neighbours.addBackend(number)
})
after(async () => {
  await Promise.all(workers.map(worker => worker[Symbol.asyncDispose]()))
  await neighbours?.[Symbol.asyncDispose]()
})

const output = () => workers.map(worker => worker.output).join('\n')

async function join(): Promise<WorkerProcess> {
  const worker = new WorkerProcess(neighbours.nats.url)
  workers.push(worker)
  await waitUntil(() => worker.output.includes('the service runs'), { deadlineMs: 30_000, describe: output })
  return worker
}

/** The owner and epoch of each backend. */
async function owners(): Promise<{ process: string; epoch: number }[]> {
  const all = await Promise.all(
    Array.from({ length: backends }, (_, number) =>
      neighbours.router.owners.ownerOf(backendResource(instance, number)),
    ),
  )
  return all.map(owner => owner ?? { process: '', epoch: 0 })
}

const ownedBy = async ({ child }: WorkerProcess): Promise<number> =>
  (await owners()).filter(({ process }) => process.includes(`-${child.pid}-`)).length

test('a worker that joins gets its share little by little, and then nothing moves any more', async () => {
  const first = await join()
  await waitUntil(async () => (await ownedBy(first)) === backends, { deadlineMs: 15_000, describe: output })
  await neighbours.register(user, 'romeo')
  neighbours.presence(user, 'orchard')
  neighbours.join(user, 'orchard', 'flock', 'romeo')
  const joined = await neighbours.hears(user, /orchard: subject flock/)
  const second = await join()
  let said = 0
  await waitUntil(
    async () => {
      neighbours.say(user, 'orchard', 'flock', `line ${said}`, `l${said++}`)
      return (await ownedBy(second)) === backends / 2 && (await ownedBy(first)) === backends / 2
    },
    { deadlineMs: 60_000, describe: output },
  )
  const settled = await owners()
  // Long enough for three more looks, each of which could move one.
  await new Promise(resolve => setTimeout(resolve, 5_000))
  assert.deepEqual(await owners(), settled)
  await neighbours.hears(user, new RegExp(`id=l${said - 1}$`), joined)
  const lines = neighbours.told(user).flatMap(line => / id=l(\d+)$/.exec(line)?.[1] ?? [])
  assert.deepEqual(
    lines.map(Number),
    Array.from({ length: said }, (_, i) => i),
  )
  const given = [...first.output.matchAll(/"time":"([^"]+)".*a backend is given/g)].map(match =>
    Date.parse(match[1] ?? ''),
  )
  assert.equal(given.length, backends / 2)
  for (const [index, at] of given.entries()) assert.ok(index === 0 || at - (given[index - 1] ?? 0) >= 900, `${given}`)
  const told = neighbours.router.owners.processes('worker').map(({ info }) => info)
  assert.deepEqual(
    told.map(({ isDraining }) => isDraining),
    [false, false],
  )
  for (const { rss } of told) assert.ok(Number(rss) > 2 ** 20)
})

test('a worker that leaves hands all over within 20 s, and its heir takes them at once', async () => {
  const [first, second] = workers as [WorkerProcess, WorkerProcess]
  const from = neighbours.told(user).length
  const startedMs = performance.now()
  const exited = first.kill('SIGTERM')
  neighbours.say(user, 'orchard', 'flock', 'after', 'a1')
  await neighbours.hears(user, /id=a1$/, from)
  assert.equal(await exited, 0)
  assert.ok(performance.now() - startedMs < 20_000)
  await waitUntil(async () => (await ownedBy(second)) === backends, { deadlineMs: 10_000, describe: output })
})
