import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { readCfg } from './cfg.ts'

test('sections, values, comments and lists are read with their lines', () => {
  const text = [
    '\uFEFF# a gateway',
    '[service]',
    '  jid = irc.example.org   # the domain',
    '\tpassword=se=cr et',
    'admin_jid=a@example.org',
    'admin_jid=b@example.org',
    '',
    '[ database ]\r',
    'prefix=\r',
    '[a.b]',
    'c=1',
  ].join('\n')
  const { entries, mistakes } = readCfg(text, 'irc.cfg')
  assert.deepEqual(mistakes, [])
  assert.deepEqual(
    entries.map(({ option, value, line }) => [option, value, line]),
    [
      ['service.jid', 'irc.example.org', 3],
      ['service.password', 'se=cr et', 4],
      ['service.admin_jid', 'a@example.org', 5],
      ['service.admin_jid', 'b@example.org', 6],
      ['database.prefix', '', 9],
      ['a.b.c', '1', 11],
    ],
  )
})

test('a line that is neither is a mistake that does not quote it', () => {
  const { entries, mistakes } = readCfg('[service]\njid=a\nhunter2\n=x\n[]\n', 'irc.cfg')
  assert.equal(entries.length, 1)
  assert.deepEqual(
    mistakes.map(mistake => mistake.split(': ', 1)[0]),
    ['irc.cfg:3', 'irc.cfg:4', 'irc.cfg:5'],
  )
  assert.ok(!mistakes.join().includes('hunter2'))
})

test('what is written is read again, whatever blanks and comments stand around it', () => {
  const blank = fc.constantFrom('', ' ', '\t', '  \t ')
  const word = fc.stringMatching(/^[a-z_][a-z0-9_]{0,12}$/)
  const value = fc
    .string({ unit: 'binary', maxLength: 30 })
    .map(text => text.replaceAll(/[#\n\r]/g, '').replace(/^[ \t]+|[ \t]+$/g, ''))
  const comment = fc.oneof(
    fc.constant(''),
    fc.string().map(text => `#${text.replaceAll(/[\n\r]/g, '')}`),
  )
  const line = fc.record({
    section: word,
    key: word,
    value,
    blanks: fc.array(blank, { minLength: 5, maxLength: 5 }),
    comment,
  })
  fc.assert(
    fc.property(fc.array(line, { maxLength: 20 }), fc.constantFrom('\n', '\r\n'), (lines, end) => {
      const text = lines.map(({ section, key, value, blanks: [a, b, c, d, e], comment }) =>
        [`${a}[${section}]${b}${comment}`, `${a}${key}${b}=${c}${value}${d}${e}${comment}`].join(end),
      )
      const { entries, mistakes } = readCfg(text.join(end), 'x')
      assert.deepEqual(mistakes, [])
      assert.deepEqual(
        entries.map(({ option, value, line }) => ({ option, value, line })),
        lines.map(({ section, key, value }, index) => ({ option: `${section}.${key}`, value, line: 2 * index + 2 })),
      )
    }),
  )
})

test('any text is read without an exception, each line once at most', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary', maxLength: 500 }), text => {
      const { entries, mistakes } = readCfg(text, 'x')
      const lines = text.split('\n').length
      assert.ok(entries.length + mistakes.length <= lines)
      for (const { value, option, line } of entries) {
        assert.ok(!/[#\n]/.test(value + option))
        assert.ok(line >= 1 && line <= lines)
      }
    }),
  )
})
