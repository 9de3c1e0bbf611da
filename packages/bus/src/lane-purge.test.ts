import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Connection } from './connection.ts'
import { LanePurge } from './lane-purge.ts'
import { Pacer } from './pacer.ts'
import { commandLane, instanceKey } from './subjects.ts'

test('nothing is purged from a stream that is another one than was read, until it is known anew', async () => {
  const purged: unknown[] = []
  const connection = {
    isConnected: true,
    log: { debug: () => undefined },
    count: () => undefined,
    api: async (_subject: string, body: { seq: number }) => void purged.push(body.seq),
  } as unknown as Connection
  let isSame = true
  const purge = new LanePurge(connection, commandLane(instanceKey('irc.test'), 1), new Pacer(0), {
    everyMs: 0,
    low: 1,
    isSameStream: async () => isSame,
  })
  const turn = () => new Promise(resolve => setImmediate(resolve))
  const tick = async (low: number) => {
    const isLeft = purge.tick(performance.now() + 1, low)
    await turn()
    return isLeft
  }
  await tick(10)
  assert.deepEqual(purged, [10])
  assert.equal(await tick(10), false)
  isSame = false
  assert.equal(await tick(20), true)
  assert.equal(await tick(20), true)
  assert.deepEqual(purged, [10])
  purge.reset()
  isSame = true
  await tick(3)
  assert.deepEqual(purged, [10, 3])
})
