import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import { type SaveSessionsRequest, SessionSnapshot } from '@spectrum/messages'
import { NetworkError } from '@spectrum/network'
import { type SaveResult, type SavingBackend, WriteBehind } from './write-behind.ts'

const quiet = { debug() {}, info() {}, warn() {}, error() {} }
const backend: SavingBackend = { number: 3, epoch: 7, isLost: false }

function writing(answer: (request: SaveSessionsRequest) => void = () => undefined, maxWaiting = 1_000) {
  const requests: SaveSessionsRequest[] = []
  const results: Partial<Record<SaveResult, number>> = {}
  const copies = new WriteBehind({
    process: 'w1',
    log: quiet,
    gatherMs: 60_000,
    maxWaiting,
    save: async request => {
      requests.push(request)
      answer(request)
    },
    onResult: (result, count) => {
      results[result] = (results[result] ?? 0) + count
    },
  })
  return { copies, requests, results }
}

const snapshot = (generation: number, status = '') =>
  SessionSnapshot.fromPartial({
    generation,
    resources: [{ resource: 'home', status }],
    rooms: [{ name: '#verona', nick: 'romeo', occupants: ['juliet'], pending: { away: 'id1' }, isKept: true }],
    missedLines: [{ room: '#verona', atMs: 1 }],
    missedLeftOut: 2,
  })

suite('copies of sessions for the database', () => {
  test('only the last state of each is sent, without occupants, joins under way and lines to be told', async () => {
    const { copies, requests } = writing()
    await using _ = copies
    for (let i = 0; i < 10; i++) copies.changed(backend, 'romeo@example.org', snapshot(1, `s${i}`))
    copies.changed(backend, 'juliet@example.org', snapshot(2))
    copies.ended(backend, 'juliet@example.org', 2)
    await copies.flush(1_000)
    assert.equal(requests.length, 1)
    const [romeo, juliet] = requests[0]?.sessions ?? []
    assert.deepEqual([romeo?.backend, romeo?.epoch, romeo?.generation], [3, 7, 1])
    assert.equal(romeo?.snapshot?.resources[0]?.status, 's9')
    assert.deepEqual([romeo?.snapshot?.rooms[0]?.occupants, romeo?.snapshot?.rooms[0]?.pending], [[], {}])
    assert.equal(romeo?.snapshot?.rooms[0]?.isKept, true)
    assert.deepEqual([romeo?.snapshot?.missedLines, romeo?.snapshot?.missedLeftOut], [[], 3])
    assert.deepEqual([juliet?.generation, juliet?.snapshot], [2, undefined])
    assert.equal(copies.waiting, 0)
  })

  test('at most 500 go in one call, of one backend each', async () => {
    const { copies, requests } = writing(undefined, 5_000)
    await using _ = copies
    const other = { ...backend, number: 4 }
    for (let i = 0; i < 1_200; i++) copies.changed(i < 1_100 ? backend : other, `u${i}@example.org`, snapshot(1))
    await copies.flush(1_000)
    assert.equal(copies.waiting, 0)
    assert.ok(requests.every(({ sessions }) => sessions.length <= 500))
    assert.ok(requests.every(({ sessions }) => new Set(sessions.map(session => session.backend)).size === 1))
    assert.equal(requests.flatMap(({ sessions }) => sessions).length, 1_200)
  })

  test('while nobody takes them they wait, within bounds, and what is refused is dropped and counted', async () => {
    let failure: NetworkError | undefined = new NetworkError('unavailable', 'away')
    const throwing = () => {
      if (failure !== undefined) throw failure
    }
    const { copies, results } = writing(throwing, 3)
    await using _ = copies
    for (let i = 0; i < 5; i++) copies.changed(backend, `u${i}@example.org`, snapshot(1))
    await copies.flush(1_000)
    assert.equal(copies.waiting, 3)
    failure = undefined
    await copies.flush(1_000)
    assert.deepEqual({ ...results }, { 'too-many': 2, failed: 3, saved: 3 })
    failure = new NetworkError('not-allowed', 'not yours')
    copies.changed(backend, 'romeo@example.org', snapshot(1))
    copies.changed({ ...backend, isLost: true }, 'juliet@example.org', snapshot(1))
    await copies.flush(1_000)
    assert.equal(copies.waiting, 0)
    const dropped: Partial<Record<SaveResult, number>> = results
    assert.deepEqual([dropped.refused, dropped['backend-lost']], [1, 1])
  })

  test('an end is told by itself soon', async () => {
    const { copies, requests } = writing()
    await using _ = copies
    copies.ended(backend, 'romeo@example.org', 1)
    const deadline = performance.now() + 5_000
    while (requests.length === 0 && performance.now() < deadline) await new Promise(resolve => setTimeout(resolve, 5))
    assert.equal(requests.length, 1)
  })
})
