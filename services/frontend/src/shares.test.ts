import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { fairShare } from './shares.ts'

test('shares are even, and together they are everything', () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 1_024 }),
      fc.uniqueArray(fc.string(), { minLength: 1, maxLength: 40 }),
      (all, members) => {
        const shares = members.map(member => fairShare(all, members, member))
        assert.equal(
          shares.reduce((sum, share) => sum + share, 0),
          all,
        )
        assert.ok(Math.max(...shares) - Math.min(...shares) <= 1)
      },
    ),
  )
  assert.equal(fairShare(32, ['a'], 'b'), 0)
})
