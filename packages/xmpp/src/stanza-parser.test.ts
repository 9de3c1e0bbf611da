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
      `<message to="a@b"><body>x &amp; y</body><x xmlns="u:x"><z/></x></message> <presence a='>"' b = "'>" />` +
      `<iq id="1" type="get"><q xmlns="q"/><![CDATA[<a>]] ]]></iq ><message><body>&#x1F600;&#233;&lt;</body></message>`
    const whole = read(text)
    assert.deepEqual(whole.errors, [])
    assert.equal(
      whole.stanzas.map(toXml).join(''),
      '<message to="a@b"><body>x &amp; y</body><x xmlns="u:x"><z/></x></message>' +
        '<presence a="&gt;&quot;" b="&apos;&gt;"/>' +
        '<iq id="1" type="get"><q xmlns="q"/>&lt;a&gt;]] </iq><message><body>😀é&lt;</body></message>',
    )
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 0, max: text.length })), cuts => {
        const places = [0, ...cuts.sort((a, b) => a - b), text.length]
        const { stanzas, errors } = read(...places.slice(1).map((end, index) => text.slice(places[index], end)))
        assert.deepEqual(errors, [])
        assert.equal(stanzas.map(toXml).join(''), whole.stanzas.map(toXml).join(''))
      }),
      { numRuns: 1_000 },
    )
  })

  test('takes time in proportion to what arrives', () => {
    const chunk = 'x'.repeat(65_536)
    const timed = (chunks: number) => {
      const begin = performance.now()
      read('<message><body>', ...Array.from({ length: chunks }, () => chunk), '</body></message>')
      return performance.now() - begin
    }
    timed(16)
    // Quadratic reading took 25 s.
    assert.ok(timed(160) < 2_500)
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
    'a tag without an end': `<message ${'x'.repeat(100_001)}`,
    'a comment': '<!-- -->',
    'a document type': '<!DOCTYPE x>',
    'an attribute twice': '<message to="a" to="b"/>',
    'a bare ampersand': '<message><body>a & b</body></message>',
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
