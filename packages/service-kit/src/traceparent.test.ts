import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { fromTraceparent, toTraceparent } from './traceparent.ts'

const hex = (length: number) =>
  fc.stringMatching(new RegExp(`^[0-9a-f]{${length}}$`)).filter(text => !/^0+$/.test(text))

test('what is written is read again', () => {
  fc.assert(
    fc.property(hex(32), hex(16), fc.nat(1), (traceId, spanId, traceFlags) => {
      const text = toTraceparent({ traceId, spanId, traceFlags })
      assert.deepEqual(fromTraceparent(text), { traceId, spanId, traceFlags, isRemote: true })
    }),
  )
})

test('malformed contexts are none, later versions are read as far as they are known', () => {
  const ids = `${'a'.repeat(32)}-${'b'.repeat(16)}`
  assert.ok(fromTraceparent(`00-${ids}-01`))
  assert.ok(fromTraceparent(`01-${ids}-01-more`))
  for (const text of ['', 'x', `00-${ids}`, `00-${ids}-01-more`, `ff-${ids}-01`, `00-${ids.toUpperCase()}-01`]) {
    assert.equal(fromTraceparent(text), undefined, text)
  }
  assert.equal(fromTraceparent(`00-${'0'.repeat(32)}-${'b'.repeat(16)}-01`), undefined)
  fc.assert(fc.property(fc.string(), text => assert.ok(fromTraceparent(text) === undefined)))
})
