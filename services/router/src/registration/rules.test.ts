import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { loadConfig } from '@spectrum/config'
import fc from 'fast-check'
import { assertFits, assertMayRegister, assertPassword, toUsername } from './rules.ts'

const romeo = 'romeo@montague.example'

function configWith(...flags: string[]) {
  const argv = ['--service.jid=irc.example.org', '--service.backend=irc', ...flags]
  return loadConfig({ argv, env: {} }).config
}

const refusal = (code: string) => ({ name: 'NetworkError', code })

describe('who may register', () => {
  test('everybody by default', () => {
    assertMayRegister(romeo, configWith())
  })

  test('only users of allowed servers, and administrators, when registration is not public', () => {
    const config = configWith(
      '--registration.enable_public_registration=0',
      '--service.allowed_servers=Montague.example',
      '--service.admin_jid=escalus@verona.example',
    )
    assertMayRegister(romeo, config)
    assertMayRegister('escalus@verona.example', config)
    for (const user of ['juliet@capulet.example', 'x@not.montague.example', 'montague.example@capulet.example'])
      assert.throws(() => assertMayRegister(user, config), refusal('not-allowed'))
  })
})

describe('user names', () => {
  test('must be given, and be another name than the own JID', () => {
    for (const typed of ['', '   ', romeo, 'ROMEO@montague.example', ` ${romeo} `])
      assert.throws(() => toUsername(typed, romeo, configWith()), refusal('not-acceptable'))
    assert.equal(toUsername('romeo', romeo, configWith()), 'romeo')
  })

  test('are put into the mask, whatever they contain', () => {
    const config = configWith('--registration.username_mask=$username@chat.example.org')
    assert.equal(toUsername('romeo', romeo, config), 'romeo@chat.example.org')
    assert.equal(toUsername('$&$1', romeo, config), '$&$1@chat.example.org')
    const own = configWith('--registration.username_mask=$username@montague.example')
    assert.throws(() => toUsername('romeo', romeo, own), refusal('not-acceptable'))
  })

  test('have 255 bytes at most', () => {
    assert.equal(toUsername('é'.repeat(127), romeo, configWith()), 'é'.repeat(127))
    assert.throws(() => toUsername('é'.repeat(128), romeo, configWith()), refusal('not-acceptable'))
  })

  test('must match what is allowed as a whole, after the mask', () => {
    const config = configWith(
      '--registration.username_mask=$username@chat.example.org',
      '--registration.allowed_usernames=[a-z]+@chat\\.example\\.org|guest',
    )
    assert.equal(toUsername('romeo', romeo, config), 'romeo@chat.example.org')
    for (const typed of ['Romeo', 'romeo2', 'guest x', 'romeo@chat.example.org'])
      assert.throws(() => toUsername(typed, romeo, config), refusal('not-acceptable'))
  })

  test('never hold control characters and are never long', () => {
    const config = configWith()
    const names = fc.string({ unit: 'binary', maxLength: 1200 })
    fc.assert(
      fc.property(names, typed => {
        try {
          const username = toUsername(typed, romeo, config)
          assert.ok(!/\p{Cc}/u.test(username.replace(/[\u0080-\u009f]/g, '')) && Buffer.byteLength(username) <= 255)
        } catch (error) {
          assert.equal((error as { code?: string }).code, 'not-acceptable')
        }
      }),
    )
  })
})

test('passwords are not empty, hold no control characters and are no longer than 1,024 bytes', () => {
  assertPassword('correct horse battery staple 🔋')
  assertPassword('€'.repeat(341))
  for (const password of ['', 'a\nQUIT', 'a\r', 'a\u0000', '€'.repeat(342), 'x'.repeat(750_000)])
    assert.throws(() => assertPassword(password), refusal('not-acceptable'))
})

describe('a network with a pattern for its names', () => {
  test('takes a name only when the whole of it matches', () => {
    assertFits('ro meo', undefined)
    assertFits('romeo', '[a-z]+')
    assert.throws(() => assertFits('ro meo', '[a-z]+'), refusal('not-acceptable'))
    assert.throws(() => assertFits('romeo\n', '[a-z]+'), refusal('not-acceptable'))
  })
})
