import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Standstill } from './standstill.ts'

test('a standstill is seen by whoever asks first, and once', () => {
  let now = 1_000
  using standstill = new Standstill({ now: () => now })
  let looks = 0
  using _ = standstill.onLook(() => looks++)
  for (let i = 0; i < 20; i++) {
    now += 1_000
    standstill.look()
  }
  assert.equal(standstill.count(), 0)
  assert.equal(looks, 20)
  now += 4_900
  assert.equal(standstill.count(), 0, 'a busy moment')
  now += 5_100
  assert.equal(standstill.count(), 1)
  standstill.look()
  assert.equal(standstill.count(), 1)
})
