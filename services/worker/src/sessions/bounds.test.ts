import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { cutText } from './bounds.ts'

test('a text is cut at a character, and only when it is too long', () => {
  assert.equal(cutText('ab€', 5), 'ab€')
  assert.equal(cutText('ab€', 4), 'ab')
  assert.equal(cutText('🔋🔋', 7), '🔋')
  fc.assert(
    fc.property(fc.string({ unit: 'binary' }), fc.nat({ max: 40 }), (text, maxBytes) => {
      const cut = cutText(text, maxBytes)
      assert.ok(text.startsWith(cut))
      assert.ok(Buffer.byteLength(cut) <= maxBytes)
      const [next = ''] = text.slice(cut.length)
      assert.ok(next === '' || Buffer.byteLength(cut + next) > maxBytes)
    }),
  )
})
