import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import { LineReader } from './line-reader.ts'

function read(chunks: readonly Buffer[]) {
  const lines: string[] = []
  const counted: string[] = []
  const reader = new LineReader(
    line => lines.push(line),
    reason => counted.push(reason),
  )
  for (const chunk of chunks) reader.push(chunk)
  return { lines, counted }
}

describe('LineReader', () => {
  test('lines do not depend on how the bytes were cut', () => {
    const line = fc
      .string({ unit: fc.constantFrom(...'ab ä€😀\x03'), minLength: 1, maxLength: 50 })
      .filter(text => !text.endsWith('\r'))
    fc.assert(
      fc.property(fc.array(line), fc.array(fc.nat({ max: 40 })), fc.boolean(), (texts, cuts, isCrlf) => {
        const bytes = Buffer.from(texts.map(text => text + (isCrlf ? '\r\n' : '\n')).join(''))
        const chunks: Buffer[] = []
        let at = 0
        for (const cut of cuts) {
          chunks.push(bytes.subarray(at, at + cut))
          at += cut
        }
        chunks.push(bytes.subarray(at))
        assert.deepEqual(read(chunks).lines, texts)
      }),
    )
  })

  test('a line of 600 KiB is cut and counted, and the next one is whole', () => {
    const long = `:a PRIVMSG #b :${'€'.repeat(200 * 1024)}`
    const bytes = Buffer.from(`${long}\r\nPING x\r\n`)
    for (const size of [bytes.length, 65536, 1000]) {
      const chunks = Array.from({ length: Math.ceil(bytes.length / size) }, (_, i) =>
        bytes.subarray(i * size, (i + 1) * size),
      )
      const { lines, counted } = read(chunks)
      assert.equal(lines.length, 2)
      assert.ok(Buffer.byteLength(lines[0] ?? '') <= 16 * 1024)
      assert.ok(long.startsWith(lines[0] ?? 'x'))
      assert.equal(lines[1], 'PING x')
      assert.deepEqual(counted, ['line-too-long'])
    }
  })

  test('tags have a limit of their own', () => {
    const tags = `@x=${'t'.repeat(8000)}`
    const { lines, counted } = read([Buffer.from(`${tags} :a PRIVMSG #b :${'y'.repeat(16_000)}\r\n`)])
    assert.equal(lines[0]?.length, tags.length + ' :a PRIVMSG #b :'.length + 16_000)
    assert.deepEqual(counted, [])
  })

  test('what is not UTF-8 is read as Western European', () => {
    assert.deepEqual(read([Buffer.from('PRIVMSG #b :\xe4\xf6\xfc \x80\n', 'latin1')]).lines, ['PRIVMSG #b :äöü €'])
    assert.deepEqual(read([Buffer.from('PRIVMSG #b :äöü \ufffd\n')]).lines, ['PRIVMSG #b :äöü \ufffd'])
  })

  test('any bytes make lines, never an error', () => {
    fc.assert(
      fc.property(
        fc.array(fc.uint8Array({ maxLength: 200 })),
        chunks => void read(chunks.map(chunk => Buffer.from(chunk))),
      ),
    )
  })
})
