import assert from 'node:assert/strict'
import { test } from 'node:test'
import { faults } from './faults/index.ts'
import { excuse, judge, type Observed, type Result } from './judge.ts'
import { Ledger, type Stream } from './ledger.ts'
import { alwaysKept } from './limits.ts'
import type { RoomChange } from './load/load.ts'
import type { Fault } from './run.ts'

const toIrc: Stream = { key: 'u01p>irc', direction: 'to IRC', user: 'u01' }
const inRoom: Stream = { key: 's1>u01', direction: 'to XMPP', user: 'u01' }
const inPrivate: Stream = { key: 'p01>u01', direction: 'to XMPP', user: 'u01' }

/** The fault is at 5 s, lasts a second, everybody is back at 7 s, and the talk of a line in 100 ms each way ends at 10 s. */
const times = { at: 5_000, strikes: [5_000], end: 6_000, recoveredAt: 7_000, stopped: 10_000 }
/** Said four seconds before the fault: no row has an excuse for it. */
const early = 10
/** Said three seconds after everybody was back. */
const late = 90
/** Said right before the fault. */
const last = 49

/** A run in which everything arrives once and in order, but for what is changed about it. */
function run(
  change: {
    isHeard?: (stream: Stream, number: number) => boolean
    isPassedOn?: (number: number) => boolean
    heardAgain?: readonly [Stream, number][]
    swapped?: readonly [Stream, number]
  } & Partial<Observed> = {},
): Observed {
  const { isHeard = () => true, isPassedOn = () => true, heardAgain = [], swapped, ...seen } = change
  const ledger = new Ledger()
  for (const stream of [toIrc, inRoom, inPrivate]) {
    for (let number = 1; number <= 100; number++) {
      ledger.said(stream, number, number * 100)
      if (stream === toIrc && isPassedOn(number)) ledger.passed(stream, number, number * 100 + 1)
    }
    for (let place = 1; place <= 100; place++) {
      const isSwapped =
        swapped !== undefined && stream === swapped[0] && (place === swapped[1] || place === swapped[1] + 1)
      const number = isSwapped ? 2 * swapped[1] + 1 - place : place
      if (isHeard(stream, number)) ledger.heard(stream, number, place * 100 + 5)
    }
  }
  for (const [stream, number] of heardAgain) ledger.heard(stream, number, number * 100 + 20)
  return {
    ...{ ledger, movements: [], changes: [], told: [], removals: 0, hasWitness: true, ...times },
    ...seen,
  }
}

/** What a row says to it. */
function missesOf(fault: Fault, observed: Observed): string[] {
  excuse(fault, observed)
  const result: Result = { ...judge(observed), fault: fault.name, linesPerSecond: 520, notes: {}, misses: [] }
  return [...alwaysKept, ...fault.limits].flatMap(limit => limit(result) ?? [])
}

const leave: RoomChange & { user: string } = { user: 'u01', room: 1, nick: 's1', kind: 'leave', at: 5_100 }
const drop = (stream: Stream, number: number) => ({
  isHeard: (each: Stream, nth: number) => each !== stream || nth !== number,
})

/** A fault of the gateway, and how it is told. */
const sabotage: readonly (readonly [string, () => Observed, RegExp])[] = [
  ['a line to IRC is lost before the fault', () => run(drop(toIrc, early)), /did not arrive.*: 1/],
  ['a line to IRC is lost when all is well again', () => run(drop(toIrc, late)), /did not arrive.*: 1/],
  ['a line to XMPP is lost', () => run(drop(inPrivate, early)), /lost to XMPP: 1/],
  ['a line of a room is lost to XMPP', () => run(drop(inRoom, late)), /lost to XMPP: 1/],
  ['a line to IRC is doubled before the fault', () => run({ heardAgain: [[toIrc, early]] }), /doubled.*: 1/],
  ['a line to IRC is doubled when all is well again', () => run({ heardAgain: [[toIrc, late]] }), /doubled.*: 1/],
  ['a line to XMPP is doubled before the fault', () => run({ heardAgain: [[inRoom, early]] }), /doubled.*: 1/],
  ['two lines to IRC are swapped', () => run({ swapped: [toIrc, last] }), /out of order: 1/],
  ['two lines to XMPP are swapped', () => run({ swapped: [inRoom, last] }), /out of order: 1/],
  ['the speaker, who stays, is told to leave', () => run({ told: [leave] }), /IRC never saw: 1/],
  ['the speaker is told to come', () => run({ told: [{ ...leave, kind: 'join' }] }), /IRC never saw: 1/],
]

for (const fault of faults) {
  test(`${fault.name}: a faultless run passes, and fails by each single fault of the gateway`, () => {
    assert.deepEqual(missesOf(fault, run()), [])
    for (const [what, observe, told] of sabotage) assert.match(missesOf(fault, observe()).join('\n'), told, what)
  })
}

/** Those that may lose to IRC, up to 512 KiB, what the process that dies had read or not yet read. */
const losesUnread = new Set([
  'kill active frontend, Prosody',
  'kill active frontend, ejabberd',
  'SIGTERM one frontend, ejabberd',
  'freeze active frontend 30 s',
])

test('a line that was lost to IRC at the fault fails every row but those whose frontend dies with it', () => {
  for (const fault of faults) {
    const isMissed = missesOf(fault, run(drop(toIrc, last))).length > 0
    assert.equal(isMissed, !losesUnread.has(fault.name), fault.name)
  }
})

test('where nothing that handles lines ends, nothing is doubled at the moment of the fault either', () => {
  const strict = ['kill NATS', 'kill one NATS node of three', 'NATS away 60 s', 'kill all routers', 'NATS disk full']
  strict.push('kill PostgreSQL for 10 s', 'rolling upgrade', 'rolling upgrade, ergo', 'SIGTERM one frontend, ejabberd')
  for (const name of strict) {
    const fault = faults.find(each => each.name === name)
    assert.ok(fault, name)
    for (const stream of [toIrc, inRoom])
      assert.match(missesOf(fault, run({ heardAgain: [[stream, last]] })).join(), /doubled: 1/, name)
  }
})

const quit = (at: number, back: number): Observed['movements'] => [
  { user: 'u01', nick: 'u01', kind: 'QUIT', at },
  { user: 'u01', nick: 'u01', kind: 'JOIN', at: back },
]
const named = (name: string): Fault => {
  const fault = faults.find(each => each.name === name)
  assert.ok(fault, name)
  return fault
}

test('a killed worker may repeat what it handled last, and no more than that', () => {
  // The fault is at 5000 ms: number 50 was heard 5 ms after it, 49 95 ms before.
  const movements = quit(5_010, 6_500)
  assert.deepEqual(missesOf(named('kill worker'), run({ movements, heardAgain: [[toIrc, 50]] })), [])
  const twice = run({
    movements,
    heardAgain: [
      [toIrc, 50],
      [toIrc, 49],
      [toIrc, 48],
    ],
  })
  assert.match(missesOf(named('kill worker'), twice).join(), /doubled: 3, must be at most the 1 handled/)
})

test('a line for a user without a connection need not arrive, and is counted; without the witness it is lost', () => {
  const isHeard = (stream: Stream, number: number) => stream !== inPrivate || number < 52 || number > 60
  const observed = run({ isHeard, movements: [{ user: 'u01', nick: 'u01', kind: 'QUIT', at: 6_100 }] })
  assert.deepEqual(missesOf(named('kill worker'), observed), [])
  assert.equal(judge(observed).toXmpp.excused['not connected'], 9)
  assert.match(missesOf(named('kill worker'), run({ isHeard })).join(), /lost to XMPP: 9/)
})

test('where nobody may lose the connection, a line that was said while the witness missed a user fails the row', () => {
  for (const name of ['kill NATS', 'kill all routers', 'Prosody SIGTERM and back', 'kill active frontend, Prosody']) {
    const observed = run(drop(inRoom, early))
    observed.ledger.excuse(inRoom, early, 'not connected')
    assert.match(missesOf(named(name), observed).join(), /left their rooms: .* 1 lines said/, name)
  }
})

test('a history leaves no gap in rooms', () => {
  const observed = run(drop(inRoom, 52))
  observed.ledger.excuse(inRoom, 52, 'not connected')
  assert.match(missesOf(named('rolling upgrade, ergo'), observed).join(), /room lines missing .*: 1/)
})

test('where the XMPP server ends, only what it never passed on may be missing to IRC, and is told apart', () => {
  const unread = run({ ...drop(toIrc, last), isPassedOn: number => number !== last })
  assert.deepEqual(missesOf(named('kill Prosody'), unread), [])
  assert.equal(judge(unread).toIrc.excused['not passed on'], 1)
  assert.match(missesOf(named('kill Prosody'), run(drop(toIrc, last))).join(), /lost to IRC: 1/)
  // Whatever it was never passed on for, when all is well again it must be.
  const later = run({ ...drop(toIrc, late), isPassedOn: number => number !== late })
  assert.match(missesOf(named('kill Prosody'), later).join(), /lost to IRC: 1/)
})

test('what reached the gateway was taken, though its sender never learned of it', () => {
  const observed = run(drop(toIrc, last))
  observed.ledger.excuse(toIrc, last, 'never taken')
  assert.match(missesOf(named('kill Prosody'), observed).join(), /lost to IRC: 1/)
})

test('where a component stream ends, what was not confirmed may be told again, and nothing else', () => {
  for (const name of ['Prosody SIGTERM and back', 'component connection reset', 'poison stanza']) {
    const again = run({ heardAgain: [[inRoom, last]] })
    assert.match(missesOf(named(name), again).join(), /though it was confirmed: 1/, name)
    again.ledger.mayRepeat(inRoom, last)
    assert.deepEqual(missesOf(named(name), again), [], name)
    assert.equal(judge(again).repeatable, 1)
    const toIrcAgain = run({ heardAgain: [[toIrc, last]] })
    toIrcAgain.ledger.mayRepeat(inRoom, last)
    assert.match(missesOf(named(name), toIrcAgain).join(), /doubled to IRC: 1/, name)
  }
})

test('a frontend that ends may have told what it told last without a record of it, and no more', () => {
  const again: [Stream, number][] = [
    [inRoom, 50],
    [inPrivate, 50],
    [inRoom, 49],
    [inRoom, 48],
    [inRoom, 51],
    [inRoom, 47],
    [inPrivate, 49],
  ]
  assert.deepEqual(missesOf(named('kill active frontend, Prosody'), run({ heardAgain: again.slice(0, 2) })), [])
  assert.match(
    missesOf(named('kill active frontend, Prosody'), run({ heardAgain: again })).join(),
    /at most the \d told in/,
  )
})

test('others may be told of a coming or going as often as the witness saw it, and of none in another room', () => {
  const changes: RoomChange[] = [{ room: 1, nick: 'u06', kind: 'leave', at: 5_000 }]
  const told = [{ ...leave, nick: 'u06' }]
  assert.equal(judge(run({ changes, told })).noise, 0)
  assert.equal(judge(run({ changes, told: [...told, ...told] })).noise, 1)
  assert.equal(judge(run({ changes, told: [...told, { ...leave, user: 'u11', nick: 'u06' }] })).noise, 0)
  assert.equal(judge(run({ changes, told: [{ ...leave, nick: 'u06', room: 2 }] })).noise, 1)
  assert.equal(judge(run({ told, hasWitness: false })).noise, 0)
  assert.deepEqual(judge(run({ told })).noises, ['u01 was told that u06 left'])
})

test('a user whose connection stands frozen, and who is moved once more when back, misses what is said in between', () => {
  const move = (kind: 'JOIN' | 'QUIT', at: number) => ({ user: 'u01', nick: 'u01_', kind, at })
  const movements = [move('JOIN', 5_500), move('QUIT', 6_150), move('JOIN', 6_450)]
  const isHeard = (stream: Stream, number: number) => stream !== inRoom || number < 62 || number > 64
  assert.deepEqual(missesOf(named('freeze worker 30 s'), run({ isHeard, movements })), [])
  assert.match(missesOf(named('freeze worker 30 s'), run({ ...drop(inRoom, 66), movements })).join(), /lost to XMPP: 1/)
})
