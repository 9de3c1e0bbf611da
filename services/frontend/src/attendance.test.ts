import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { Attendance } from './attendance.ts'

const peer = (process: string, info: Record<string, unknown> = { link: 'shared' }) => ({ process, info })

describe('attendance', () => {
  test('counts who is missing of the most that there were', () => {
    const attendance = new Attendance()
    assert.equal(attendance.missing(['a'], []), 0)
    assert.equal(attendance.missing(['a', 'b', 'c'], [peer('b'), peer('c')]), 0)
    assert.equal(attendance.missing(['a', 'c'], [peer('c')]), 1)
    assert.equal(attendance.most, 3)
  })

  test('learns the number from the others', () => {
    assert.equal(new Attendance().missing(['a', 'b'], [peer('b', { link: 'shared', most: 4 })]), 2)
  })

  test('who left is missing at once, though its heartbeat is still there; who lost its stream is not', () => {
    const attendance = new Attendance()
    attendance.missing(['a', 'b'], [peer('b')])
    assert.equal(attendance.missing(['a'], [peer('b', { link: 'away' })]), 0)
    attendance.left('b')
    assert.equal(attendance.missing(['a'], [peer('b', { link: 'away' })]), 1)
  })

  test('who is about to leave is there until it has left, died or come again', () => {
    const attendance = new Attendance()
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
    const attendance = new Attendance(() => clock.now)
    attendance.missing(['a', 'b'], [peer('b')])
    attendance.joins('c')
    assert.equal(attendance.missing(['a'], []), 0)
    clock.now = 20_000
    assert.equal(attendance.missing(['a'], []), 1)
  })
})
