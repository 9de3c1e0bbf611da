import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { commandLane, encodeToken, eventLane, instanceKey, partitionOf, placementKey, userOfKey } from './subjects.ts'

test('any text is one token, and is read back', () => {
  fc.assert(
    fc.property(fc.string({ minLength: 1, unit: 'grapheme' }), user => {
      assert.match(encodeToken(user), /^[A-Za-z0-9_-]+$/)
      assert.equal(userOfKey(placementKey('i', user)), user.toWellFormed())
    }),
  )
  assert.throws(() => encodeToken(''), RangeError)
})

test('lanes of 500 backends share a stream whose subjects are its own', () => {
  const instance = instanceKey('irc.example.org')
  assert.equal(commandLane(instance, 0).stream, commandLane(instance, 499).stream)
  assert.notEqual(commandLane(instance, 499).stream, commandLane(instance, 500).stream)
  assert.notEqual(commandLane(instance, 499).streamSubjects, commandLane(instance, 500).streamSubjects)
  assert.notEqual(commandLane(instance, 1).key, eventLane(instance, 1).key)
  const long = instanceKey(`${'a'.repeat(200)}.example.org`)
  assert.ok(commandLane(long, 9999).stream.length < 255)
})

test('partitions are stable and even', () => {
  assert.equal(partitionOf('romeo@montague.example', 32), partitionOf('romeo@montague.example', 32))
  const counts = new Array<number>(32).fill(0)
  for (let n = 0; n < 32_000; n++) {
    const partition = partitionOf(`user${n}@example.org`, 32)
    counts[partition] = (counts[partition] ?? 0) + 1
  }
  assert.ok(Math.min(...counts) > 800 && Math.max(...counts) < 1200, counts.join(' '))
})
