import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { formatBatchId, parseBatchId } from './batch-id.ts'
import { Cursor, emptyCursor, type OpenBatch, positionsPerMessage, type UserProgress } from './cursor.ts'

interface Message {
  sequence: number
  users: number[]
}

const lanes = fc.array(fc.array(fc.nat({ max: 4 }), { minLength: 1, maxLength: 6 }), { minLength: 1, maxLength: 30 })

/** Hands the messages from `low` on to a cursor, as a consumer does; answers what it delivers. */
function read(cursor: Cursor, messages: Message[], low: number) {
  const delivered: { key: string; user: string; position: number; batch: OpenBatch; progress: UserProgress }[] = []
  for (const { sequence, users } of messages.filter(message => message.sequence >= low)) {
    const id = { publisher: 'p', number: sequence }
    assert.notEqual(cursor.judge(id.publisher, id.number), 'double')
    const batch = cursor.open(sequence, id, users.length, 10)
    for (const [ordinal, user] of users.entries()) {
      const position = sequence * positionsPerMessage + ordinal
      const progress = cursor.progressOf(`u${user}`)
      if (position <= progress.done) {
        cursor.finish(batch)
        continue
      }
      progress.start(position)
      delivered.push({ key: `${sequence}/${ordinal}`, user: `u${user}`, position, batch, progress })
    }
  }
  return delivered
}

test('whatever is finished in whatever order: a successor reads exactly what is unfinished, in order, plus no hole', () => {
  fc.assert(
    fc.property(lanes, fc.infiniteStream(fc.nat()), fc.nat({ max: 100 }), (batches, random, share) => {
      const messages = batches.map((users, index) => ({ sequence: index + 1, users }))
      const first = new Cursor(emptyCursor)
      const delivered = read(first, messages, 1)
      const shuffled = delivered.map(item => ({ item, sort: random.next().value as number }))
      shuffled.sort((a, b) => a.sort - b.sort)
      const done = shuffled.slice(0, Math.floor((shuffled.length * share) / 100)).map(({ item }) => item)
      for (const { batch, progress, position } of done) {
        progress.finish(position)
        first.finish(batch)
      }
      assert.equal(first.unfinished, delivered.length - done.length)
      const { record } = first.record(1, 'me', 0)
      const stored = JSON.parse(JSON.stringify(record)) as typeof record
      const again = read(new Cursor(stored), messages, stored.low)
      // Nothing unfinished is missing …
      const finishedKeys = new Set(done.map(({ key }) => key))
      const againKeys = new Set(again.map(({ key }) => key))
      for (const { key } of delivered) if (!finishedKeys.has(key)) assert.ok(againKeys.has(key), `${key} is lost`)
      // … what comes again although it was finished lies behind an unfinished item of the same user, and order holds.
      for (const { key, user, position } of again) {
        if (!finishedKeys.has(key)) continue
        const isBehind = delivered.some(
          other => other.user === user && other.position < position && !finishedKeys.has(other.key),
        )
        assert.ok(isBehind, `${key} is doubled without need`)
      }
      const positions = again.map(({ position }) => position)
      assert.deepEqual(
        positions,
        [...positions].sort((a, b) => a - b),
      )
    }),
  )
})

test('low never passes an unfinished item and reaches the end when all is finished', () => {
  fc.assert(
    fc.property(lanes, fc.infiniteStream(fc.nat()), (batches, random) => {
      const messages = batches.map((users, index) => ({ sequence: 3 * index + 2, users }))
      const cursor = new Cursor(emptyCursor)
      const open = read(cursor, messages, 1)
      while (open.length > 0) {
        const [item] = open.splice((random.next().value as number) % open.length, 1)
        assert.ok(item)
        item.progress.finish(item.position)
        cursor.finish(item.batch)
        const lowest = Math.min(...open.map(({ batch }) => batch.sequence))
        if (open.length > 0) assert.equal(cursor.low, lowest)
      }
      assert.equal(cursor.low, (messages.at(-1)?.sequence ?? 0) + 1)
      const { record } = cursor.record(1, 'me', 0)
      assert.deepEqual(record.finished, {})
      assert.equal(cursor.unfinishedBytes, 0)
    }),
  )
})

test('a batch number at or below the last is a double, one too far ahead a gap, another life is new', () => {
  const cursor = new Cursor({ ...emptyCursor, publishers: { 'p|1': [7, 0] } })
  assert.equal(cursor.judge('p|1', 7), 'double')
  assert.equal(cursor.judge('p|1', 8), 'new')
  assert.equal(cursor.judge('p|1', 9), 'gap')
  assert.equal(cursor.judge('p|2', 1), 'new')
})

test('publishers that were silent for an hour are forgotten', () => {
  const now = Math.floor(Date.now() / 1000)
  const cursor = new Cursor({ ...emptyCursor, publishers: { old: [7, now - 4000], young: [3, now - 10] } })
  assert.deepEqual(Object.keys(cursor.record(1, 'me', now).record.publishers), ['young'])
})

test('batch ids are read back, foreign ones are not taken for ours', () => {
  fc.assert(
    fc.property(fc.nat(), fc.integer({ min: 1 }), (epoch, number) => {
      const id = parseBatchId(formatBatchId('commands.x.1', 'worker-a-1-ff', epoch, number))
      assert.deepEqual(id, { publisher: `worker-a-1-ff|${epoch}`, number })
    }),
  )
  for (const foreign of ['', 'abc', 'a|b', '|', 'a|b|c', 'a|b|0', 'a|b|-1', 'a|b|1.5'])
    assert.equal(parseBatchId(foreign), undefined, foreign)
})
