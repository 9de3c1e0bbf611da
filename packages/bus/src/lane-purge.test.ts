import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Connection } from './connection.ts'
import { LanePurge } from './lane-purge.ts'
import { Pacer } from './pacer.ts'
import { commandLane, instanceKey } from './subjects.ts'

const turn = () => new Promise(resolve => setImmediate(resolve))

/** A purge at `low` 1 that is due at every tick, and the sequences up to which it has purged. */
function createPurge(isSameStream: () => Promise<boolean>) {
  const purged: number[] = []
  const connection = {
    isConnected: true,
    log: { debug: () => undefined },
    count: () => undefined,
    api: async (_subject: string, body: { seq: number }) => void purged.push(body.seq),
  } as unknown as Connection
  const options = { everyMs: 0, low: 1, isSameStream }
  const purge = new LanePurge(connection, commandLane(instanceKey('irc.test'), 1), new Pacer(0), options)
  const tick = async (low: number) => {
    const isLeft = purge.tick(performance.now() + 1, low)
    await turn()
    return isLeft
  }
  return { purge, purged, tick }
}

test('nothing is purged from a stream that is another one than was read, until it is known anew', async () => {
  let isSame = true
  const { purge, purged, tick } = createPurge(async () => isSame)
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

test('a purge that asks about the stream while the reader learns that it was made anew purges nothing of the new one', async () => {
  const asked = Promise.withResolvers<boolean>()
  const { purge, purged, tick } = createPurge(() => asked.promise)
  await tick(10)
  // Whoever asks now is told that the reader reads the stream that is there: the new one.
  purge.reset()
  asked.resolve(true)
  await turn()
  assert.deepEqual(purged, [])
  await tick(3)
  assert.deepEqual(purged, [3])
})
