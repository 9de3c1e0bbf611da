import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import { parseElement, textOf, toXml, xml } from './element.ts'
import { addressTo, messageStanza } from './stanza.ts'
import { dropIllegal, escapeText, exceeds, splitText } from './xml.ts'

const anyText = fc.string({
  unit: fc.oneof(
    fc.integer({ min: 0, max: 0xffff }).map(unit => String.fromCharCode(unit)),
    fc.constantFrom('&', '<', ']]>', '"', "'", '😀'),
  ),
})

describe('output', () => {
  test('has no character that XML 1.0 does not have, whatever the text', () => {
    fc.assert(
      fc.property(anyText, text => {
        const clean = dropIllegal(text)
        assert.ok(clean.isWellFormed())
        // biome-ignore format: one class
        assert.doesNotMatch(clean, /[\0-\x08\x0B\x0C\x0E-\x1F\uFFFE\uFFFF]/)
        const written = addressTo(messageStanza({ from: clean, id: text }, `<body>${escapeText(text)}</body>`), 'a@b')
        const element = parseElement(written)
        assert.equal(element && textOf(element, 'body'), clean)
        assert.equal(element?.attrs.id, text === '' ? undefined : clean)
      }),
      { numRuns: 2_000 },
    )
  })

  test('U+0003 and a lone surrogate are dropped', () => {
    assert.equal(escapeText('a\u0003b\uD800c\uFFFFd'), 'abcd')
  })

  test('trees are written as strictly', () => {
    const element = xml('a', { b: '"\n\u0001' }, '<&>', xml('c', { d: undefined }, false, undefined))
    assert.equal(toXml(element), '<a b="&quot;&#10;">&lt;&amp;&gt;<c/></a>')
  })

  test('a size is that of UTF-8', () => {
    assert.equal(exceeds('é'.repeat(10), 19), true)
    assert.equal(exceeds('é'.repeat(10), 20), false)
  })
})

describe('splitting', () => {
  test('keeps all, within the limit, and no character is cut', () => {
    fc.assert(
      fc.property(anyText.map(dropIllegal), fc.integer({ min: 6, max: 40 }), (text, maxBytes) => {
        const parts = splitText(text, maxBytes)
        assert.equal(parts.join(''), text)
        for (const part of parts) {
          assert.ok(part.isWellFormed())
          assert.ok(Buffer.byteLength(escapeText(part)) <= maxBytes)
        }
      }),
      { numRuns: 2_000 },
    )
  })

  test('a line of 600 KiB becomes parts of at most 60', () => {
    const parts = splitText('wörd '.repeat(100_000), 60 * 1024)
    assert.ok(parts.length > 9 && parts.every(part => Buffer.byteLength(part) <= 60 * 1024 && part.endsWith(' ')))
  })
})
