import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { createSealingKeys, openSealed, sealTo } from '@spectrum/bus'
import { Credentials, Sealed, type SealedCredentials } from '@spectrum/messages'
import { changeSecret, handOut, receivePassword, sealedFor } from './secrets.ts'

const router = createSealingKeys()
const seal = (bytes: Uint8Array, publicKey = router.publicKey) => Sealed.fromPartial(boxOf(sealTo(publicKey, bytes)))
const boxOf = ({ nonce, ciphertext }: { nonce: Uint8Array; ciphertext: Uint8Array }) => ({
  nonce: Buffer.from(nonce),
  ciphertext: Buffer.from(ciphertext),
})
const joined = ({ publicKey, nonce, ciphertext }: SealedCredentials) => ({
  nonce,
  ciphertext: Buffer.concat([publicKey, ciphertext]),
})
const account = {
  user: 'romeo@montague.example',
  username: 'r',
  language: 'en',
  createdAt: new Date(0),
  updatedAt: new Date(0),
}

describe('passwords on their way from a frontend to a worker', () => {
  test('arrive whole, with contacts and settings, for the one who asked', () => {
    const worker = createSealingKeys()
    const secret = receivePassword(router.privateKey, seal(Buffer.from('pässwörd')))
    const contacts = [{ name: 'mercutio', alias: 'M', groups: ['Friends'] }]
    const sealed = handOut({ account, secret }, { stay_connected: '1' }, contacts, worker.publicKey)
    assert.deepEqual(Credentials.decode(openSealed(worker.privateKey, joined(sealed))), {
      username: 'r',
      password: 'pässwörd',
      hasPassword: true,
      extraJson: '',
      settings: { stay_connected: '1' },
      contacts,
    })
    assert.throws(() => openSealed(createSealingKeys().privateKey, joined(sealed)))
    assert.ok(
      secret.every(byte => byte === 0),
      'the secret is wiped',
    )
  })

  test('are refused when empty, not text, or sealed to somebody else', () => {
    const refusal = (code: string) => ({ name: 'NetworkError', code })
    const receive = (sealed: Sealed) => () => receivePassword(router.privateKey, sealed)
    assert.throws(receive(seal(Buffer.of())), refusal('not-acceptable'))
    assert.throws(receive(seal(Buffer.of(0xff, 0xfe))), refusal('not-acceptable'))
    assert.throws(receive(seal(Buffer.from('x'), createSealingKeys().publicKey)), refusal('bad-request'))
    assert.throws(receive(Sealed.create()), refusal('bad-request'))
    assert.throws(() => sealedFor(Buffer.alloc(31), Buffer.from('x')), refusal('bad-request'))
  })

  test('change in parts', () => {
    const secret = receivePassword(router.privateKey, seal(Buffer.from('old')))
    const change = (partial: Partial<Credentials>) =>
      Credentials.decode(
        changeSecret(secret, router.privateKey, seal(Credentials.encode(Credentials.fromPartial(partial)).finish())),
      )
    const token = change({ extraJson: '{"token":1}' })
    assert.deepEqual([token.password, token.hasPassword, token.extraJson], ['old', true, '{"token":1}'])
    const renewed = change({ password: 'new', hasPassword: true })
    assert.deepEqual([renewed.password, renewed.extraJson], ['new', ''])
  })
})
