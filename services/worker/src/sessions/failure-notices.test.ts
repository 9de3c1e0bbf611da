import assert from 'node:assert/strict'
import { test } from 'node:test'
import { FailureNotices } from './failure-notices.ts'

test('ten failures a minute are told, the others are not', () => {
  let now = 0
  const notices = new FailureNotices({ now: () => now, monotonic: () => now })
  const told = () => Array.from({ length: 100 }, () => notices.take()).filter(Boolean).length
  assert.equal(told(), 10)
  now = 59_999
  assert.equal(told(), 0)
  now = 60_000
  assert.equal(told(), 10)
})
