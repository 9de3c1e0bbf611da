import assert from 'node:assert/strict'
import { test } from 'node:test'
import { faults } from './faults/index.ts'
import type { Result } from './judge.ts'
import type { Verdict } from './ledger.ts'
import { doubledAtMostLastMoment, gapless, nobodyLeft, nothingLost, orderKept } from './limits.ts'
import { lineOf, missesOf } from './table.ts'

const faultless: Verdict = {
  ...{ said: 10, delivered: 10, lost: 0, refused: 0, doubled: 0, disordered: 0, refusals: {}, examples: [] },
  excused: { 'not connected': 0, 'in flight': 0, 'confirmed, unread': 0, 'never taken': 0, 'not passed on': 0 },
}

const good: Result = {
  ...{ fault: 'kill something', toIrc: faultless, toXmpp: faultless, outageP50: 5, outageMax: 9, faultMs: 1 },
  ...{
    recoveryMs: 1,
    linesPerSecond: 520,
    departures: 0,
    removals: 0,
    missingInRooms: 0,
    handledBefore: 2,
    handledDuring: 0,
    toldBefore: 0,
    repeatable: 0,
    confirmedDoubles: 0,
    strayDoubles: 0,
    strayLosses: 0,
    noise: 0,
    noises: [],
  },
  ...{ notes: {}, misses: [] },
}

const limits = [...nothingLost, doubledAtMostLastMoment, orderKept, nobodyLeft, gapless]
const missed = (change: Partial<Result>): number =>
  limits.filter(limit => limit({ ...good, ...change }) !== undefined).length

test('a faultless result keeps every limit, and each fault of it misses exactly its own', () => {
  assert.equal(missed({}), 0)
  assert.equal(missed({ toIrc: { ...faultless, lost: 1 } }), 1)
  assert.equal(missed({ toXmpp: { ...faultless, lost: 1 } }), 1)
  assert.equal(missed({ toIrc: { ...faultless, doubled: 2 } }), 0)
  assert.equal(missed({ toIrc: { ...faultless, doubled: 3 } }), 1)
  assert.equal(missed({ toXmpp: { ...faultless, disordered: 1 } }), 1)
  assert.equal(missed({ departures: 1 }), 1)
  assert.equal(missed({ removals: 1 }), 1)
  assert.equal(missed({ missingInRooms: 1 }), 1)
})

test('a miss names lines of its kind', () => {
  const examples = ['u01p>irc 3 was heard 2 times', 'u02p>irc 7 is lost']
  const sentence = nothingLost[0]?.({ ...good, toIrc: { ...faultless, lost: 1, examples } })
  assert.match(sentence ?? '', /u02p>irc 7 is lost/)
  assert.doesNotMatch(sentence ?? '', /u01p/)
})

test('a row passes only when it ran and every run kept its limits', () => {
  const row = { fault: 'kill something', results: [good], failures: [] }
  assert.match(lineOf(row), /^✔/)
  assert.match(lineOf({ ...row, results: [good, { ...good, misses: ['lost to IRC: 1, must be 0'] }] }), /^✖/)
  assert.match(lineOf({ ...row, results: [] }), /^✖/)
  assert.match(lineOf({ ...row, results: [], notRun: 'Ergo cannot be had here' }), /^–.*not run: Ergo/)
  assert.deepEqual(missesOf({ ...row, failures: ['no start'] }), ['no start'])
})

test('the table shows the worst of the runs', () => {
  const worse = { ...good, linesPerSecond: 480, outageMax: 12_000, toIrc: { ...faultless, doubled: 4 } }
  const line = lineOf({ fault: 'kill something', results: [good, worse, good], failures: [] })
  assert.match(line, / 3 +480 +0\/0 +0\/0 +4\/0 +0\/0 +0 +0 +0\.0 +12\.0$/)
})

test('every row has limits and a name of its own', () => {
  assert.equal(new Set(faults.map(({ name }) => name)).size, faults.length)
  for (const fault of faults) {
    assert.ok(fault.limits.length > 0, fault.name)
  }
  assert.ok(faults.some(({ isShort }) => isShort))
})
