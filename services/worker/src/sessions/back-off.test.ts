import assert from 'node:assert/strict'
import { test } from 'node:test'
import { backOffMs } from './back-off.ts'

test('pauses double up to the longest, less up to a half by chance', () => {
  const least = (failures: number) => backOffMs(failures, 1_000, 300_000, () => 0)
  const most = (failures: number) => backOffMs(failures, 1_000, 300_000, () => 1)
  assert.deepEqual([1, 2, 3, 9, 10, 1_000].map(most), [1_000, 2_000, 4_000, 256_000, 300_000, 300_000])
  assert.deepEqual([1, 2, 3].map(least), [500, 1_000, 2_000])
})
