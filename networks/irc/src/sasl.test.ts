import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { closingError } from './closing.ts'
import { offersPlain, plainLines } from './sasl.ts'

test('whatever account and password, the server reads them again from the parts', () => {
  fc.assert(
    fc.property(fc.string({ maxLength: 900, unit: 'grapheme' }), password => {
      const parts = plainLines('romeo', password)
      assert.ok(parts.slice(0, -1).every(part => part.length === 400))
      assert.ok((parts.at(-1) ?? '').length < 400)
      const whole = parts.at(-1) === '+' ? parts.slice(0, -1) : parts
      const read = Buffer.from(whole.join(''), 'base64').toString()
      assert.equal(read, `romeo\0romeo\0${password}`)
    }),
  )
  assert.deepEqual(
    plainLines('a', 'x'.repeat(296)).map(part => part.length),
    [400, 1],
  )
})

test('PLAIN is used where it is offered, or nothing is said of mechanisms', () => {
  assert.deepEqual(['sasl', 'sasl=PLAIN,EXTERNAL', 'sasl=EXTERNAL', 'multi-prefix'].map(offersPlain), [
    true,
    true,
    false,
    false,
  ])
})

test('a server that asks for patience is no server that cannot be reached', () => {
  for (const words of [
    'Closing Link: (Trying to reconnect too fast.)',
    'Closing Link: romeo[127.0.0.1] (Throttled: Reconnecting too fast)',
    'Too many host connections (local)',
    'Too many user connections (global)',
    'Your host is trying to (re)connect too fast -- throttled',
  ])
    assert.equal(closingError(words, false).code, 'rate-limited', words)
  assert.equal(closingError('Closing Link: (K-lined)', false).code, 'not-allowed')
  assert.equal(closingError('Ping timeout', false).code, 'unreachable')
})
