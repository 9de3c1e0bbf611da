import assert from 'node:assert/strict'
import { test } from 'node:test'
import { waitUntil } from '@spectrum/stack'
import { ResourceChecks } from './resource-checks.ts'
import type { Session } from './session.ts'

function crowd(count: number, resources: number) {
  const asked: number[] = []
  const names = Array.from({ length: resources }, (_, i) => `r${i}`)
  const sessions = Array.from(
    { length: count },
    () =>
      ({
        resources: { names: () => names },
        closing: undefined,
        tell: () => asked.push(performance.now()),
      }) as unknown as Session,
  )
  return { asked, sessions }
}

test('never more checks in a second than allowed, whole sessions at a time, each once for all that ask', async () => {
  using checks = new ResourceChecks({ perSecond: 200 })
  const { asked, sessions } = crowd(30, 7)
  let rounds = 0
  for (let i = 0; i < 2; i++)
    checks.request(
      sessions,
      () => false,
      () => rounds++,
    )
  await waitUntil(() => rounds === 2, { deadlineMs: 10_000, describe: () => `${asked.length} asked` })
  // Two sessions had their turn before the second round was asked for.
  assert.equal(asked.length, 210 + 14)
  for (const [index, at] of asked.entries()) {
    const later = asked.slice(index).filter(other => other < at + 950).length
    assert.ok(later <= 200 + 7, `${later} in a second`)
  }
})

test('a round that is over asks nobody and is not done; others go on', async () => {
  using checks = new ResourceChecks({ perSecond: 1_000 })
  const { asked, sessions } = crowd(200, 1)
  let isOver = false
  let isDone = false
  checks.request(
    sessions,
    () => isOver,
    () => {
      isDone = true
    },
  )
  isOver = true
  const before = asked.length
  assert.ok(before > 0 && before < 200)
  await new Promise<void>(resolve => checks.request(crowd(1, 1).sessions, () => false, resolve))
  assert.equal(asked.length, before)
  assert.ok(!isDone)
  assert.equal(checks.waiting, 0)
})

test('without sessions a round is done at once', () => {
  using checks = new ResourceChecks()
  let isDone = false
  checks.request(
    [],
    () => false,
    () => {
      isDone = true
    },
  )
  assert.ok(isDone)
})
