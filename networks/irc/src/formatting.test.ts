import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import { plainText, renderFormatting } from './formatting.ts'

describe('renderFormatting', () => {
  const cases: [string, string, string?][] = [
    ['plain', 'plain'],
    ['\x02bold\x02 and not', 'bold and not', "<span style='font-weight: bold'>bold</span> and not"],
    ['\x1d\x1fboth', 'both', "<span style='font-style: italic; text-decoration: underline'>both</span>"],
    ['\x034,1red\x03 12', 'red 12', "<span style='color: #ff0000; background-color: #000000'>red</span> 12"],
    ['\x0312345', '345', "<span style='color: #0000fc'>345</span>"],
    ['\x03,5', ',5'],
    ['\x04ff8800x\x04y', 'xy', "<span style='color: #ff8800'>x</span>y"],
    ['\x0399grey?', 'grey?'],
    ['\x16swapped\x0f.', 'swapped.', "<span style='color: #ffffff; background-color: #000000'>swapped</span>."],
    [
      '\x11<code>\x11 & \x1eold',
      '<code> & old',
      "<span style='font-family: monospace'>&lt;code&gt;</span> &amp; <span style='text-decoration: line-through'>old</span>",
    ],
    ['bell\x07 and \0nul', 'bell and nul'],
    ['\x02\x02nothing', 'nothing'],
  ]
  for (const [raw, text, xhtml] of cases) {
    test(JSON.stringify(raw), () =>
      assert.deepEqual(renderFormatting(raw), xhtml === undefined ? { text } : { text, xhtml }),
    )
  }

  test('nothing that XML forbids comes through, and markup is balanced', () => {
    const raw = fc.string({
      unit: fc.constantFrom(...'ab<&>\'"12,\x02\x03\x04\x0f\x11\x16\x1d\x1e\x1f\x00\x01\x7f\ufffe\ud800😀'),
    })
    fc.assert(
      fc.property(raw, text => {
        const rendered = renderFormatting(text)
        assert.equal(rendered.text, plainText(text))
        const xhtml = rendered.xhtml ?? ''
        assert.doesNotMatch(rendered.text + xhtml, /[\0-\x08\x0a-\x1f\x7f\ufffe\uffff]|\p{Surrogate}/u)
        const bare = xhtml.replace(/<span style='[a-z0-9#:; -]+'>/g, '<').replace(/<\/span>/g, '>')
        assert.doesNotMatch(bare.replace(/<[^<>]*>/g, ''), /[<>]/)
        if (rendered.xhtml !== undefined) {
          const back = bare
            .replace(/[<>]/g, '')
            .replaceAll('&lt;', '<')
            .replaceAll('&gt;', '>')
            .replaceAll('&quot;', '"')
            .replaceAll('&#39;', "'")
          assert.equal(back.replaceAll('&amp;', '&'), rendered.text)
        }
      }),
      { numRuns: 2000 },
    )
  })
})
