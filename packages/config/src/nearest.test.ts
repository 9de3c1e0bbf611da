import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { editDistance, nearest } from './nearest.ts'

test('a slip of the finger is recognised, another word is not', () => {
  const options = ['service.jid', 'service.port', 'service.users_per_backend']
  assert.equal(nearest('service.prot', options), 'service.port')
  assert.equal(nearest('service.user_per_backends', options), 'service.users_per_backend')
  assert.equal(nearest('weather.today', options), undefined)
})

test('the distance is a metric', () => {
  const word = fc.stringMatching(/^[ab]{0,6}$/)
  fc.assert(
    fc.property(word, word, word, (a, b, c) => {
      assert.equal(editDistance(a, b) === 0, a === b)
      assert.equal(editDistance(a, b), editDistance(b, a))
      assert.ok(editDistance(a, c) <= editDistance(a, b) + editDistance(b, c))
    }),
  )
})
