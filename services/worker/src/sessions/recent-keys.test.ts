import assert from 'node:assert/strict'
import { test } from 'node:test'
import { RecentKeys } from './recent-keys.ts'

test('a key is new once, until so many others came', () => {
  const keys = new RecentKeys(3)
  assert.deepEqual(
    ['a', 'b', 'a', 'c', 'd', 'a', 'd'].map(key => keys.add(key)),
    [true, true, false, true, true, true, false],
  )
})
