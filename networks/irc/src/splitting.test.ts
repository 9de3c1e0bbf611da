import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import { splitText } from './splitting.ts'

describe('splitText', () => {
  test('short lines stay, blank ones vanish', () => {
    assert.deepEqual(splitText('hello', 400), ['hello'])
    assert.deepEqual(splitText('a\r\n\n b \u2028c\rd', 400), ['a', ' b ', 'c', 'd'])
    assert.deepEqual(splitText(' \n ', 400), [])
    assert.deepEqual(splitText('\x01VERSION\x01\0', 400), ['VERSION'])
  })

  test('breaks at a space near the end', () => {
    assert.deepEqual(splitText(`${'x'.repeat(60)} ${'y'.repeat(10)}`, 64), [`${'x'.repeat(60)} `, 'y'.repeat(10)])
  })

  test('the cost grows with the length only', () => {
    const text = 'x y€'.repeat(1_000_000)
    const started = performance.now()
    assert.ok(splitText(text, 400).length > 10_000)
    assert.ok(performance.now() - started < 5_000)
  })

  test('no piece is too long, broken in a character, or empty; together they are the line', () => {
    const text = fc.string({ unit: fc.constantFrom(...'abc  ä€😀\n\ud800'), maxLength: 400 })
    fc.assert(
      fc.property(text, fc.integer({ min: 8, max: 100 }), (said, maxBytes) => {
        const pieces = splitText(said, maxBytes)
        for (const piece of pieces) {
          assert.ok(Buffer.byteLength(piece) <= maxBytes, piece)
          assert.ok(piece.isWellFormed() && piece.trim() !== '' && !/[\r\n\0]/.test(piece))
        }
        const squeeze = (part: string) => part.replace(/\s+/g, '')
        assert.equal(squeeze(pieces.join('')), squeeze(said.toWellFormed()))
      }),
      { numRuns: 1000 },
    )
  })
})
