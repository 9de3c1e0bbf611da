import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { RecentKeys } from './recent-keys.ts'

test('a key is new once, until more than twice as many others came', () => {
  const keys = new RecentKeys(3)
  assert.deepEqual(
    ['a', 'b', 'a', 'c', 'd', 'a'].map(key => keys.add(key)),
    [true, true, false, true, true, false],
  )
  for (const key of ['e', 'f', 'g', 'h', 'i']) keys.add(key)
  assert.equal(keys.add('a'), true)
})

test('the last so many keys are known, whatever came', () => {
  fc.assert(
    fc.property(fc.array(fc.integer({ min: 0, max: 30 })), fc.integer({ min: 1, max: 8 }), (numbers, limit) => {
      const keys = new RecentKeys(limit)
      const added: string[] = []
      for (const number of numbers) {
        const key = String(number)
        const isNew = keys.add(key)
        if (added.slice(-limit).includes(key)) assert.equal(isNew, false)
        if (!added.includes(key)) assert.equal(isNew, true)
        if (isNew) added.push(key)
      }
    }),
  )
})
