import assert from 'node:assert/strict'
import { test } from 'node:test'
import { comeBack, excess } from '../src/governor/come-back.ts'

/** How long a turn that was granted may be used at most. */
const turnMs = 2_000

test('600 users come back to three workers: never more logins than allowed, most recently active first', async () => {
  const [users, rate, burst] = [600, 50, 30]
  const { returns, seconds, settledMs } = await comeBack({ users, rate, burst, workers: 3 })
  assert.equal(returns.length, users)
  const most = excess(returns, rate, burst)
  assert.ok(most <= 0, `${most} logins more than allowed in some time`)
  assert.ok(seconds < (users / rate) * 5, `${seconds} s`)
  // Until the workers have found all their backends, and asked for all their turns, the most recent of those that they have found
  // are first.
  const late = returns.filter(({ atMs }) => atMs > settledMs + 3_000)
  assert.ok(late.length > users / 4, `only ${late.length} came after the workers had settled`)
  const settled = late.slice(Math.ceil(late.length / 3))
  // A turn that was granted to one worker may be used while the next is on its way to another, for whom it was kept.
  const earlyMs = settled.flatMap(({ atMs, group }, place) =>
    settled.slice(place).flatMap(other => (other.group > group ? other.atMs - atMs : [])),
  )
  const worst = Math.max(0, ...earlyMs)
  assert.ok(worst <= turnMs, `somebody came ${worst} ms before one who was active later`)
})
