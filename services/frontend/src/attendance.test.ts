import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { Attendance } from './attendance.ts'

/** The view of `a`, who has heard of the others. */
function aware(now?: () => number): Attendance {
  const attendance = new Attendance('a', now)
  for (const process of ['b', 'c']) attendance.heard(process)
  return attendance
}
const peer = (process: string, info: Record<string, unknown> = { link: 'shared' }) => ({ process, info })

describe('attendance', () => {
  test('counts who is missing of the most that there were', () => {
    const attendance = aware()
    assert.equal(attendance.missing(['a'], [peer('b'), peer('c')]), 0)
    assert.equal(attendance.missing(['a', 'b', 'c'], [peer('b'), peer('c')]), 0)
    assert.equal(attendance.missing(['a', 'c'], [peer('c')]), 1)
    assert.equal(attendance.most, 3)
  })

  test('whose heartbeat is all that is known of it counts for nothing: it may have died', () => {
    const attendance = new Attendance('a')
    attendance.missing(['a', 'b', 'c'], [peer('b'), peer('c')])
    assert.equal(attendance.most, 1)
    attendance.joins('b')
    attendance.missing(['a', 'b', 'c'], [peer('b'), peer('c')])
    assert.equal(attendance.most, 2)
  })

  test('learns the number from the others', () => {
    assert.equal(aware().missing(['a', 'b'], [peer('b', { link: 'shared', most: 4 })]), 2)
  })

  test('who left is missing at once, though its heartbeat is still there; who lost its stream is not', () => {
    const attendance = aware()
    attendance.missing(['a', 'b'], [peer('b')])
    assert.equal(attendance.missing(['a'], [peer('b', { link: 'away' })]), 0)
    attendance.left('b')
    assert.equal(attendance.missing(['a'], [peer('b', { link: 'away' })]), 1)
  })

  test('who is about to leave is there until it has left, died or come again', () => {
    const attendance = aware()
    attendance.missing(['a', 'b'], [peer('b')])
    attendance.leaves('b')
    assert.ok(attendance.isLeaving('b'))
    assert.equal(attendance.leaving([peer('b')]), 1)
    assert.equal(attendance.missing(['a'], [peer('b')]), 0)
    attendance.left('b')
    assert.equal(attendance.leaving([peer('b')]), 0)
    assert.equal(attendance.missing(['a'], [peer('b')]), 1)
    attendance.leaves('c')
    assert.equal(attendance.leaving([]), 0)
    attendance.leaves('d')
    attendance.joins('d')
    assert.equal(attendance.leaving([peer('d')]), 0)
  })

  test('who is about to connect is missing no more, but for a time only', () => {
    const clock = { now: 0 }
    const attendance = aware(() => clock.now)
    attendance.missing(['a', 'b'], [peer('b')])
    attendance.joins('c')
    const starting = peer('c', { link: 'starting' })
    assert.equal(attendance.missing(['a'], [starting]), 0)
    clock.now = 9_000
    assert.equal(attendance.missing(['a'], [starting]), 0)
    clock.now = 11_000
    assert.equal(attendance.missing(['a'], [starting]), 1)
  })

  test('who announced itself and has died, or did not get in, is missing', () => {
    const clock = { now: 0 }
    const attendance = aware(() => clock.now)
    attendance.missing(['a', 'b'], [peer('b')])
    attendance.joins('c')
    assert.equal(attendance.missing(['a'], []), 0, 'its heartbeat may be on its way')
    clock.now = 1_500
    assert.equal(attendance.missing(['a'], []), 1)
    attendance.joins('d')
    attendance.left('d')
    assert.equal(attendance.missing(['a'], [peer('d', { link: 'starting' })]), 1)
  })

  test('who never had a stream makes no place free, and is not waited for', () => {
    const attendance = aware()
    attendance.missing(['a', 'b'], [peer('b')])
    assert.equal(attendance.missing(['a'], [peer('c', { link: 'starting' })]), 1)
  })

  test('who has no stream for long is missing; who lost it with us gets the time to come back', () => {
    const clock = { now: 0 }
    const attendance = aware(() => clock.now)
    const away = [peer('b', { link: 'away' })]
    attendance.missing(['a', 'b'], [peer('b')])
    assert.equal(attendance.missing(['a'], away), 0)
    clock.now = 4_000
    assert.equal(attendance.missing(['a'], away), 1)
    attendance.returned()
    assert.equal(attendance.missing(['a'], away), 0)
    clock.now = 8_000
    assert.equal(attendance.missing(['a'], away), 1)
    assert.equal(attendance.missing(['a', 'b'], [peer('b')]), 0)
    assert.equal(attendance.missing(['a'], away), 0, 'the time begins anew')
  })

  test('who lost a stream, came back unheard and is about to leave has its place until it has left', () => {
    const attendance = aware()
    attendance.missing(['a', 'b'], [peer('b')])
    attendance.left('b')
    assert.equal(attendance.missing(['a', 'b'], [peer('b')]), 0)
    attendance.leaves('b')
    assert.equal(attendance.missing(['a'], [peer('b')]), 0)
  })

  test('who is about to leave says so for as long as that takes', () => {
    const clock = { now: 0 }
    const attendance = aware(() => clock.now)
    attendance.missing(['a', 'b'], [peer('b')])
    clock.now = 20_000
    assert.equal(attendance.missing(['a'], [peer('b', { link: 'leaving' })]), 0)
  })
})
