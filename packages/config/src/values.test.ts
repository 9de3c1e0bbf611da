import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { z } from 'zod'
import { settings } from './setting.ts'
import { readValue } from './values.ts'

const [flag, count, ratio] = settings(
  z.object({
    a: z.object({
      flag: z.boolean().describe('A flag.'),
      count: z.int().describe('A count.'),
      ratio: z.number().describe('A ratio.'),
    }),
  }),
)
assert.ok(flag && count && ratio)

test('booleans are read as the original reads them, in any case', () => {
  const words = { yes: true, on: true, 1: true, true: true, '': true, no: false, off: false, 0: false, false: false }
  for (const [word, value] of Object.entries(words)) {
    assert.deepEqual(readValue(flag, word), { value })
    assert.deepEqual(readValue(flag, word.toUpperCase()), { value })
  }
  fc.assert(
    fc.property(fc.string(), text => {
      const isWord = Object.hasOwn(words, text.toLowerCase())
      assert.equal('value' in readValue(flag, text), isWord)
    }),
  )
})

test('every integer comes back, and nothing else is one', () => {
  fc.assert(
    fc.property(fc.integer(), number => {
      assert.deepEqual(readValue(count, String(number)), { value: number })
    }),
  )
  for (const text of ['', ' 1', '1.0', '0x10', '1e3', 'ten', '--1', '9'.repeat(16)]) {
    assert.ok('mistake' in readValue(count, text), text)
  }
  assert.deepEqual(readValue(ratio, '0.25'), { value: 0.25 })
  for (const text of ['', '.', 'NaN', '1e3', '1,5']) assert.ok('mistake' in readValue(ratio, text), text)
})
