import assert from 'node:assert/strict'
import { test } from 'node:test'
import { digest, fingerprint } from './occupants.ts'
import { otherLook } from './provisional-roles.ts'

test('the look in a room that is moderated and in one that is not', () => {
  const look = (role: 'participant' | 'visitor' | 'moderator', away?: string) =>
    digest({ nick: 'polly', affiliation: 'none', role, ...(away === undefined ? {} : { away }) })
  assert.equal(otherLook(look('participant')), look('visitor'))
  assert.equal(otherLook(look('visitor')), look('participant'))
  assert.equal(otherLook(look('visitor', 'a visitor  came')), look('participant', 'a visitor  came'))
  assert.equal(otherLook(look('moderator')), look('moderator'))
})

test('hashes of occupants differ by nick and look, and where one ends and the other begins', () => {
  const hashes = [
    fingerprint('polly', 'none visitor'),
    fingerprint('polly', 'none participant'),
    fingerprint('pollynone', ' visitor'),
    fingerprint('Polly', 'none visitor'),
  ]
  assert.equal(new Set(hashes).size, hashes.length)
  for (const hash of hashes) assert.ok(Number.isInteger(hash) && hash >= 0 && hash < 2 ** 32)
})
