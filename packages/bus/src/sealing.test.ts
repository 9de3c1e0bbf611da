import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { createSealingKeys, openSealed, SealError, sealTo } from './sealing.ts'

const keys = createSealingKeys()
const bytes = fc.uint8Array({ maxLength: 300 })

test('what is sealed is opened by its owner', () => {
  fc.assert(
    fc.property(bytes, plaintext => {
      const sealed = sealTo(keys.publicKey, plaintext)
      assert.deepEqual(new Uint8Array(openSealed(keys.privateKey, sealed)), plaintext)
    }),
  )
})

test('nobody else opens it, and no changed byte passes', () => {
  const stranger = createSealingKeys()
  fc.assert(
    fc.property(bytes, fc.nat(), fc.integer({ min: 1, max: 255 }), (plaintext, where, flip) => {
      const sealed = sealTo(keys.publicKey, plaintext)
      assert.throws(() => openSealed(stranger.privateKey, sealed), SealError)
      const changed = Uint8Array.from(sealed.ciphertext)
      const at = where % changed.length
      // X25519 ignores the top bit of a public key (RFC 7748 section 5); the key derivation does not.
      changed[at] = (changed[at] ?? 0) ^ flip
      assert.throws(() => openSealed(keys.privateKey, { ...sealed, ciphertext: changed }), SealError)
      assert.throws(() => openSealed(keys.privateKey, { ...sealed, nonce: new Uint8Array(12) }), SealError)
    }),
  )
})

test('two seals of the same text differ; garbage is refused', () => {
  const text = Buffer.from('hello')
  assert.notDeepEqual(sealTo(keys.publicKey, text), sealTo(keys.publicKey, text))
  fc.assert(
    fc.property(bytes, bytes, (nonce, ciphertext) => {
      assert.throws(() => openSealed(keys.privateKey, { nonce, ciphertext }), SealError)
    }),
  )
})
