import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import { type Element, toXml } from './element.ts'
import { excessOf, StanzaParser } from './stanza-parser.ts'

const limits = { maxDepth: 8, maxStanzaLength: 1_000, maxPendingLength: 100_000 }
const header =
  "<?xml version='1.0'?><stream:stream xmlns:stream='http://etherx.jabber.org/streams' xmlns='jabber:component:accept'>"

function read(...chunks: string[]) {
  const parser = new StanzaParser(limits)
  const stanzas: Element[] = []
  const errors: Error[] = []
  parser.on('element', stanza => stanzas.push(stanza))
  parser.on('error', error => errors.push(error))
  parser.write(header)
  for (const chunk of chunks) parser.write(chunk)
  return { stanzas, errors }
}

describe('the stanza parser', () => {
  test('finds stanzas wherever the chunks are cut', () => {
    const text =
      '<message to="a@b"><body>x &amp; y</body><x xmlns="u:x"><z/></x></message> <presence/><iq id="1" type="get"><q xmlns="q"/></iq>'
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 0, max: text.length })), cuts => {
        const places = [0, ...cuts.sort((a, b) => a - b), text.length]
        const chunks = places.slice(1).map((end, index) => text.slice(places[index], end))
        const { stanzas, errors } = read(...chunks)
        assert.deepEqual(errors, [])
        assert.equal(stanzas.map(toXml).join(''), text.replace('> <presence', '><presence'))
      }),
    )
  })

  test('a deep stanza arrives empty, the next one whole', () => {
    const { stanzas } = read(
      `<message id="deep">${'<a>'.repeat(500)}${'</a>'.repeat(500)}</message><presence id="next"><show/></presence>`,
    )
    assert.deepEqual(
      stanzas.map(({ attrs, children }) => [attrs.id, children.length]),
      [
        ['deep', 0],
        ['next', 1],
      ],
    )
    assert.equal(excessOf(stanzas[0] as Element), 'too-deep')
    assert.equal(excessOf(stanzas[1] as Element), undefined)
  })

  test('a large stanza arrives empty, the next one whole', () => {
    const { stanzas } = read(
      '<message id="large"><body>',
      'x'.repeat(50_000),
      '</body><y/></message><presence id="next"/>',
    )
    assert.deepEqual(
      stanzas.map(({ attrs, children }) => [attrs.id, children.length]),
      [
        ['large', 0],
        ['next', 0],
      ],
    )
    assert.equal(excessOf(stanzas[0] as Element), 'too-large')
  })

  const broken = {
    'a character reference that XML does not have': '<message><body>&#1;</body></message>',
    'an unknown entity': '<message><body>&nbsp;</body></message>',
    'overlapping elements': '<message><a><b></a></b></message>',
    'text without an end': `<message><body>${'x'.repeat(100_001)}`,
  }
  for (const [what, text] of Object.entries(broken)) {
    test(`${what} is an error, once, and not thrown`, () => {
      const { errors } = read(text, '<presence/>', '&#1;</x>')
      assert.equal(errors.length, 1)
    })
  }

  test('nothing that is written makes it throw', () => {
    const pieces = fc.constantFrom(
      '<',
      '>',
      '/',
      '</',
      'a',
      ' ',
      '"',
      '=',
      '&',
      ';',
      '#',
      '<!--',
      '-->',
      '<![CDATA[',
      ']]>',
      '<?',
      '?>',
    )
    fc.assert(
      fc.property(fc.array(pieces), all => void read(all.join(''))),
      { numRuns: 2_000 },
    )
  })
})
