import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import { bareJid, formatJid, parseJid } from './jid.ts'

const parsed = (text: string) => {
  const jid = parseJid(text)
  return jid && [jid.local, jid.domain, jid.resource]
}

describe('addresses', () => {
  test('are taken apart and prepared', () => {
    assert.deepEqual(parsed('Romeo@Montague.Example/Orchard'), ['romeo', 'montague.example', 'Orchard'])
    assert.deepEqual(parsed('montague.example'), ['', 'montague.example', ''])
    assert.deepEqual(parsed('montague.example./a@b/c'), ['', 'montague.example', 'a@b/c'])
    assert.deepEqual(parsed('#chan%irc.example@gw.example/nick'), ['#chan%irc.example', 'gw.example', 'nick'])
    assert.deepEqual(parsed('[::1]/x'), ['', '[::1]', 'x'])
    assert.deepEqual(parsed('fußball@example.com'), ['fussball', 'example.com', ''])
    assert.deepEqual(parsed('ΣΑΣ@example.com/Σ'), ['σασ', 'example.com', 'Σ'])
    assert.deepEqual(parsed('ﬀ@example.com/ⅷ'), ['ff', 'example.com', 'viii'])
    assert.deepEqual(parsed('a\u00ADb@example.com/c\u200Dd'), ['ab', 'example.com', 'cd'])
    assert.deepEqual(parsed('🦖@example.com/🦖'), ['🦖', 'example.com', '🦖'])
    assert.deepEqual(parsed('שלום@example.com'), ['שלום', 'example.com', ''])
  })

  const invalid = {
    empty: '',
    'no domain': 'romeo@',
    'no local part': '@example.com',
    'no resource': 'romeo@example.com/',
    'a space': 'ro meo@example.com',
    'a quote': 'ro"meo@example.com',
    'an unescaped at': 'a@b@example.com',
    'a control': 'ro\u0003meo@example.com',
    'a line feed in the resource': 'romeo@example.com/a\nb',
    NUL: 'romeo\0@example.com',
    'a lone surrogate': 'romeo@example.com/\uD800',
    'private use': 'romeo@example.com/\uE000',
    'a zero width joiner alone': '\u200D@example.com',
    'mixed direction': 'abcש@example.com',
    'nothing but a long text that is dropped': `ro${'\u00AD'.repeat(4_000)}meo@example.com`,
    'a domain with a space': 'romeo@exa mple.com',
    'an empty label': 'romeo@example..com',
    'a long local part': `${'a'.repeat(1024)}@example.com`,
    'a long resource': `romeo@example.com/${'é'.repeat(512)}`,
  }
  for (const [what, text] of Object.entries(invalid)) {
    test(`with ${what} are none`, () => assert.equal(parseJid(text), undefined))
  }

  test('of the largest legal size are taken', () => {
    const local = 'é'.repeat(511)
    assert.equal(parseJid(`${local}@example.com/${'r'.repeat(1023)}`)?.local, local)
  })

  test('survive being written and read again, and preparation changes nothing more', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), fc.string({ unit: 'grapheme' }), (local, resource) => {
        const jid = parseJid(`${local}@example.com/${resource}`)
        if (jid === undefined) return
        assert.deepEqual(parseJid(formatJid(jid)), jid)
        assert.equal(parseJid(bareJid(jid))?.local, jid.local)
      }),
      { numRuns: 2_000 },
    )
  })

  test('never throw', () => {
    fc.assert(fc.property(fc.string({ unit: 'binary' }), text => void parseJid(text)))
  })
})
