import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { commandLane, placementKey, protoValue, snapshotKey } from '@spectrum/bus'
import { type Command, commandCodec, Placement, Placement_State, SessionSnapshot } from '@spectrum/messages'
import type { RunningService } from '@spectrum/service-kit'
import { waitUntil } from '@spectrum/stack'
import { instance, Neighbours } from './neighbours.ts'
import { workerHere } from './worker.ts'

let neighbours: Neighbours
let worker: RunningService
const user = 'romeo@example.org'

before(async () => {
  neighbours = await Neighbours.start()
  worker = await workerHere(neighbours.nats.url)
  await neighbours.addBackend(0)
  await neighbours.addBackend(1)
})
after(async () => {
  await worker?.[Symbol.asyncDispose]()
  await neighbours?.[Symbol.asyncDispose]()
})

/** What the leading router does: the placement names the new backend, and the old one is told. */
async function move(from: number, to: number): Promise<{ old: number; now: number }> {
  const old = neighbours.generation
  const now = ++neighbours.generation
  const placement = {
    backend: to,
    generation: now,
    state: Placement_State.STATE_STARTED,
    movedFrom: { backend: from, generation: old },
  }
  await neighbours.router.table('placements', protoValue(Placement)).put(placementKey(instance, user), placement)
  const lane = neighbours.router.publisher(commandLane(instance, from), commandCodec)
  const item = {
    key: `move:${now}:${user}`,
    user,
    resource: '',
    generation: old,
    forwards: 0,
    traceparent: '',
    stanzaId: '',
    command: { $case: 'moveSession' as const, value: { backend: to, generation: now } },
  } satisfies Command
  // Any router may ask it again.
  lane.publish(item)
  lane.publish(item)
  await lane.durable()
  return { old, now }
}

test('a session moves to another backend: its clients see nothing of it, and every line is said once, in order', async () => {
  await neighbours.register(user, 'romeo')
  neighbours.presence(user, 'orchard')
  neighbours.join(user, 'orchard', 'flock', 'romeo', 'j1')
  const joined = await neighbours.hears(user, /orchard: subject flock/)
  for (let i = 0; i < 50; i++) neighbours.say(user, 'orchard', 'flock', `line ${i}`, `l${i}`)
  const { old } = await move(0, 1)
  // A frontend that has not read the new placement.
  for (let i = 50; i < 100; i++)
    neighbours.send(
      user,
      'orchard',
      {
        $case: 'sendMessage',
        value: {
          to: { name: 'flock', node: 'flock', resource: '' },
          kind: 1,
          body: `line ${i}`,
          xhtml: '',
          originId: '',
          wantsReceipt: false,
          chatState: 0,
        },
      },
      `l${i}`,
      old,
    )
  await neighbours.hears(user, /«line 99» id=l99/, joined)
  const since = neighbours.told(user).slice(joined)
  const lines = since.flatMap(line => / id=l(\d+)$/.exec(line)?.[1] ?? [])
  assert.deepEqual(
    lines.map(Number),
    Array.from({ length: 100 }, (_, i) => i),
  )
  assert.deepEqual(
    since.filter(line => /gateway|gone|failed/.test(line)),
    [],
  )
  const snapshots = neighbours.router.table('snapshots', protoValue(SessionSnapshot))
  await waitUntil(async () => (await snapshots.get(snapshotKey(instance, 0, user))) === undefined, {
    deadlineMs: 10_000,
    describe: () => 'the old snapshot stays',
  })
  assert.ok(await snapshots.get(snapshotKey(instance, 1, user)))
  assert.deepEqual(neighbours.released, [])
  const backends = new Set(
    neighbours.events.filter(event => / id=l/.test(event.key) || event.user === user).map(e => e.backend),
  )
  assert.deepEqual([...backends], [0, 1])
})

test('what comes to the new backend before the session waits for it', async () => {
  const from = neighbours.told(user).length
  const now = neighbours.generation + 1
  const send = () => {
    const lane = neighbours.frontend.publisher(commandLane(instance, 0), commandCodec)
    lane.publish({
      key: 'early',
      user,
      resource: 'orchard',
      generation: now,
      forwards: 0,
      traceparent: '',
      stanzaId: 'e1',
      command: {
        $case: 'sendMessage',
        value: {
          to: { name: 'flock', node: 'flock', resource: '' },
          kind: 1,
          body: 'early',
          xhtml: '',
          originId: '',
          wantsReceipt: false,
          chatState: 0,
        },
      },
    })
    return lane.durable()
  }
  const placement = {
    backend: 0,
    generation: now,
    state: Placement_State.STATE_STARTED,
    movedFrom: { backend: 1, generation: neighbours.generation },
  }
  await neighbours.router.table('placements', protoValue(Placement)).put(placementKey(instance, user), placement)
  await send()
  await move(1, 0)
  await neighbours.hears(user, /«early» id=e1/, from)
  assert.deepEqual(
    neighbours
      .told(user)
      .slice(from)
      .filter(line => /gateway|gone|failed/.test(line)),
    [],
  )
})
