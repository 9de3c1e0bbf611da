import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { Ledger, type Stream } from './ledger.ts'

const romeo: Stream = { key: 'romeo>witness', direction: 'to IRC', user: 'romeo' }
const mercutio: Stream = { key: 'mercutio>romeo', direction: 'to XMPP', user: 'romeo' }

/** Everything said and heard, a millisecond apart. */
function talked(count: number, stream = romeo): Ledger {
  const ledger = new Ledger()
  for (let number = 1; number <= count; number++) {
    ledger.said(stream, number, number * 10)
    ledger.heard(stream, number, number * 10 + 1)
  }
  return ledger
}

test('what was said and heard once, in order, is faultless', () => {
  const verdict = talked(10).judge()
  assert.deepEqual(
    [verdict.said, verdict.delivered, verdict.lost, verdict.refused, verdict.doubled, verdict.disordered],
    [10, 10, 0, 0, 0, 0],
  )
  assert.deepEqual(verdict.examples, [])
})

test('a line nobody heard is lost, and named', () => {
  const ledger = talked(3)
  ledger.said(romeo, 4, 40)
  assert.equal(ledger.open(), 1)
  assert.equal(ledger.judge().lost, 1)
  assert.deepEqual(ledger.judge().examples, ['romeo>witness 4 is lost'])
})

test('a line that was answered by an error is refused, not lost; one that arrived all the same is delivered', () => {
  const ledger = talked(3)
  ledger.said(romeo, 4, 40)
  ledger.refused(romeo, 4, 'recipient-unavailable')
  ledger.refused(romeo, 3, 'recipient-unavailable')
  const { lost, refused, delivered, refusals } = ledger.judge()
  assert.deepEqual([lost, refused, delivered], [0, 1, 3])
  assert.deepEqual(refusals, { 'recipient-unavailable': 1 })
})

test('a line that was heard twice is doubled, unless it was said twice', () => {
  const ledger = talked(3)
  ledger.heard(romeo, 2, 50)
  assert.equal(ledger.judge().doubled, 1)
  ledger.said(romeo, 2, 51)
  assert.equal(ledger.judge().doubled, 0)
})

test('a line that was heard before the ledger knew of it is no double', () => {
  const ledger = new Ledger()
  ledger.heard(romeo, 1, 1)
  ledger.said(romeo, 1, 2)
  assert.deepEqual([ledger.judge().doubled, ledger.judge().lost], [0, 0])
})

test('an older line after a younger one of the same stream is out of order; another stream does not matter', () => {
  const ledger = new Ledger()
  for (const number of [1, 2, 3]) ledger.said(romeo, number, number)
  for (const number of [1, 3, 2]) ledger.heard(romeo, number, 10)
  ledger.said(mercutio, 1, 1)
  ledger.heard(mercutio, 1, 20)
  assert.equal(ledger.judge().disordered, 1)
  assert.equal(ledger.judge(stream => stream === mercutio).disordered, 0)
})

test('doubles of old lines are doubles, not disorder', () => {
  const ledger = talked(3)
  ledger.heard(romeo, 1, 60)
  assert.deepEqual([ledger.judge().doubled, ledger.judge().disordered], [1, 0])
})

test('an excused line is not lost, is counted by its excuse, and its neighbour has none', () => {
  const ledger = new Ledger()
  for (const number of [1, 2, 3]) ledger.said(mercutio, number, number)
  ledger.excuse(mercutio, 1, 'not connected')
  ledger.excuse(mercutio, 1, 'in flight')
  ledger.heard(mercutio, 2, 9)
  ledger.excuse(mercutio, 2, 'in flight')
  const { lost, delivered, excused } = ledger.judge()
  assert.deepEqual([lost, delivered], [1, 1])
  assert.deepEqual([excused['not connected'], excused['in flight']], [1, 0])
})

test('the outage of a user is the longest silence of its worse direction', () => {
  const ledger = new Ledger()
  for (const at of [100, 200, 300, 900, 1000]) ledger.heard(romeo, at, at)
  for (const at of [100, 200, 250, 300, 400, 500, 600, 700, 800, 900, 1000]) ledger.heard(mercutio, at, at)
  assert.deepEqual(ledger.outages(150, 1000), [600])
  assert.deepEqual(ledger.outages(150, 1700), [700])
})

test('every line has exactly one fate', () => {
  const step = fc.record({
    number: fc.integer({ min: 1, max: 8 }),
    what: fc.constantFrom('said', 'heard', 'refused', 'excused'),
  })
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), steps => {
      const ledger = new Ledger()
      for (const { number, what } of steps)
        if (what === 'said') ledger.said(romeo, number, 1)
        else if (what === 'heard') ledger.heard(romeo, number, 2)
        else if (what === 'refused') ledger.refused(romeo, number, 'gone')
        else ledger.excuse(romeo, number, 'in flight')
      const { said, delivered, lost, refused, excused } = ledger.judge()
      assert.equal(said, new Set(steps.map(({ number }) => number)).size)
      assert.equal(delivered + lost + refused + excused['in flight'], said)
      assert.equal(ledger.open(), lost)
    }),
  )
})
