import assert from 'node:assert/strict'
import { test } from 'node:test'
import { instancePrefix, protoValue } from '@spectrum/bus'
import { Placement, Placement_State } from '@spectrum/messages'
import { startNats } from '@spectrum/stack'
import { instance, Neighbour } from './harness.ts'
import { placeMany, startPlacing } from './placing.ts'

const users = 50_000
/** What is promised: users per second. Five times the time is granted to a busy machine. */
const rate = 3_000

test(`${users} users are placed through NATS, each once, first-fit and densely`, { timeout: 300_000 }, async t => {
  await using nats = await startNats()
  await using placing = await startPlacing(nats)
  const seconds = await placeMany(placing, users)
  t.diagnostic(`${Math.round(users / seconds)} users/s`)

  await using frontend = await Neighbour.connect(nats, 'frontend')
  const perBackend = new Map<number, number>()
  const placements = frontend.bus.table('placements', protoValue(Placement)).list(instancePrefix(instance))
  for await (const { value } of placements) {
    assert.equal(value.state, Placement_State.STATE_STARTED)
    perBackend.set(value.backend, (perBackend.get(value.backend) ?? 0) + 1)
  }
  assert.equal(perBackend.size, users / 100)
  for (const [backend, count] of perBackend) assert.equal(count, 100, `backend ${backend} has ${count} users`)
  assert.ok(seconds < (users / rate) * 5, `${seconds} s`)
})
