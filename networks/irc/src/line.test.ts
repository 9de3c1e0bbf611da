import assert from 'node:assert/strict'
import { existsSync, readFileSync } from 'node:fs'
import { describe, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import fc from 'fast-check'
import { parse } from 'yaml'
import { escapeTags, nickOf, parseLine, parseTags, serialiseLine } from './line.ts'

const vectors = (name: string) =>
  fileURLToPath(new URL(`../../../../shared/data/irc-parser-tests/${name}`, import.meta.url))
// The community's irc-parser-tests are run where a copy lies beside this checkout; our own cases are run everywhere.
const hasVectors = existsSync(vectors('msg-split.yaml'))
if (!hasVectors) console.log('not tried on irc-parser-tests: no copy of them lies beside this checkout')
const testVectors = (name: string, run: () => void) => {
  if (hasVectors) test(name, run)
}

interface Atoms {
  tags?: Record<string, string>
  source?: string
  verb: string
  params?: string[]
}

describe('parseLine', () => {
  const cases: [string, Atoms][] = [
    ['PING', { verb: 'PING' }],
    [
      ':irc.example.net 001 romeo :Welcome, romeo',
      { source: 'irc.example.net', verb: '001', params: ['romeo', 'Welcome, romeo'] },
    ],
    ['PRIVMSG  #verona   ::-)', { verb: 'PRIVMSG', params: ['#verona', ':-)'] }],
    [':a!b@c MODE #x +o y ', { source: 'a!b@c', verb: 'MODE', params: ['#x', '+o', 'y'] }],
    ['TOPIC #x :', { verb: 'TOPIC', params: ['#x', ''] }],
    [
      '@time=2026-01-01T00:00:00Z;x;y=a\\sb\\:\\\\\\q\\ :s NOTICE * :hi',
      { tags: { time: '2026-01-01T00:00:00Z', x: '', y: 'a b;\\q' }, source: 's', verb: 'NOTICE', params: ['*', 'hi'] },
    ],
  ]
  for (const [input, atoms] of cases) test(input, () => check(input, atoms))

  test('holds nothing', () => {
    for (const text of ['', ' ', ':', ':a', ':a ', '@x', '@x ', '@x :y']) assert.equal(parseLine(text), undefined, text)
  })

  testVectors('the community’s cases', () => {
    const { tests } = parse(readFileSync(vectors('msg-split.yaml'), 'utf8')) as {
      tests: { input: string; atoms: Atoms }[]
    }
    assert.ok(tests.length > 30)
    for (const { input, atoms } of tests) check(input, atoms)
  })

  function check(input: string, atoms: Atoms): void {
    const line = parseLine(input)
    assert.ok(line, input)
    assert.equal(line.command, atoms.verb, input)
    assert.equal(line.source, atoms.source ?? '', input)
    assert.deepEqual(line.params, atoms.params ?? [], input)
    assert.deepEqual(Object.fromEntries(parseTags(line.tags)), atoms.tags ?? {}, input)
  }
})

describe('serialiseLine', () => {
  testVectors('the community’s cases', () => {
    const { tests } = parse(readFileSync(vectors('msg-join.yaml'), 'utf8')) as {
      tests: { atoms: Atoms; matches: string[] }[]
    }
    assert.ok(tests.length > 15)
    for (const { atoms, matches } of tests) {
      const from = {
        tags: escapeTags(atoms.tags ?? {}),
        ...(atoms.source === undefined ? {} : { source: atoms.source }),
      }
      const line = serialiseLine(atoms.verb, atoms.params ?? [], from)
      assert.ok(matches.includes(line), `${line} is none of ${matches.join(' | ')}`)
    }
  })

  test('joins what it is given', () => {
    const cases: [Parameters<typeof serialiseLine>, string][] = [
      [['PING', []], 'PING'],
      [['NICK', ['romeo']], 'NICK romeo'],
      [['PRIVMSG', ['#verona', 'two words']], 'PRIVMSG #verona :two words'],
      [['PRIVMSG', ['#verona', ':-)']], 'PRIVMSG #verona ::-)'],
      [['TOPIC', ['#verona', '']], 'TOPIC #verona :'],
      [['PRIVMSG', ['#verona', 'a b'], { source: 'romeo!m@v' }], ':romeo!m@v PRIVMSG #verona :a b'],
      [['TAGMSG', ['#verona'], { tags: escapeTags({ a: 'b; c' }) }], '@a=b\\:\\sc TAGMSG #verona'],
    ]
    for (const [given, line] of cases) assert.equal(serialiseLine(...given), line)
  })

  test('whatever it is given, it is one line with exactly that, or refused', () => {
    const word = fc.string({ unit: fc.constantFrom(...'ab:# \r\n\0,@\x01ä😀') })
    fc.assert(
      fc.property(fc.array(word, { maxLength: 5 }), params => {
        let line: string
        try {
          line = serialiseLine('PRIVMSG', params)
        } catch (error) {
          assert.equal((error as { code?: string }).code, 'bad-address')
          const middle = params.slice(0, -1)
          assert.ok(middle.some(param => /[\0\r\n ]|^:|^$/.test(param)) || /[\0\r\n]/.test(params.at(-1) ?? ''))
          return
        }
        assert.doesNotMatch(line, /[\0\r\n]/)
        assert.deepEqual(parseLine(line)?.params, params)
      }),
      { numRuns: 2000 },
    )
  })

  test('tags survive', () => {
    fc.assert(
      fc.property(fc.dictionary(fc.stringMatching(/^[a-z]{1,5}$/), fc.string()), tags => {
        assert.deepEqual(Object.fromEntries(parseTags(escapeTags(tags))), { ...tags })
      }),
    )
  })

  test('commands are words', () => {
    for (const command of ['', 'A B', 'A\r\nB', ':A', '12'])
      assert.throws(() => serialiseLine(command, []), { code: 'bad-address' })
  })
})

test('nickOf', () => {
  const cases = [
    ['romeo', 'romeo'],
    ['romeo!montague@verona.example', 'romeo'],
    ['romeo!montague', 'romeo'],
    ['romeo@verona.example', 'romeo'],
    ['irc.example.net', 'irc.example.net'],
    ['', ''],
  ] as const
  for (const [source, nick] of cases) assert.equal(nickOf(source), nick, source)
})

testVectors('nickOf: the community’s cases', () => {
  const { tests } = parse(readFileSync(vectors('userhost-split.yaml'), 'utf8')) as {
    tests: { source: string; atoms: { nick?: string } }[]
  }
  for (const { source, atoms } of tests) assert.equal(nickOf(source), atoms.nick ?? '', source)
})
