import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import type { OutgoingMessage, UserId } from '@spectrum/network'
import fc from 'fast-check'
import { parseLine } from './line.ts'
import { privmsgLines } from './privmsg.ts'

const message = (text: string, action?: boolean): OutgoingMessage => ({
  key: 'k',
  chat: { kind: 'contact', user: 'x' as UserId },
  text,
  ...(action === undefined ? {} : { action }),
})

describe('privmsgLines', () => {
  test('actions', () => {
    assert.deepEqual(privmsgLines('bob', message('/me sighs'), 400), ['PRIVMSG bob :\x01ACTION sighs\x01'])
    assert.deepEqual(privmsgLines('bob', message('sighs', true), 400), ['PRIVMSG bob :\x01ACTION sighs\x01'])
    assert.deepEqual(privmsgLines('bob', message('/me'), 400), ['PRIVMSG bob :/me'])
  })

  test('nothing to say, and too much', () => {
    assert.throws(() => privmsgLines('bob', message(' \n'), 400), { code: 'not-acceptable' })
    assert.throws(() => privmsgLines('bob', message('x\n'.repeat(300)), 400), { code: 'too-large' })
    assert.throws(() => privmsgLines('bob', message('x'.repeat(10_000_000)), 400), { code: 'too-large' })
  })

  test('whatever is said to whomever: one target, one text a line, short enough', () => {
    const any = fc.string({ unit: fc.constantFrom(...'abc: ,#\r\n\0\x01\x03ä😀\ud800\u2028'), maxLength: 300 })
    fc.assert(
      fc.property(any, fc.oneof(any, fc.constant('#room')), fc.boolean(), (text, target, action) => {
        let lines: readonly string[]
        try {
          lines = privmsgLines(target, message(text, action), 200)
        } catch (error) {
          assert.match((error as { code?: string }).code ?? '', /bad-address|not-acceptable|too-large/)
          return
        }
        for (const line of lines) {
          assert.doesNotMatch(line, /[\0\r\n]/)
          const parsed = parseLine(line)
          assert.equal(parsed?.command, 'PRIVMSG')
          assert.equal(parsed.params.length, 2)
          assert.equal(parsed.params[0], target)
          assert.equal(parsed.params[1]?.startsWith('\x01') ?? false, action || text.startsWith('/me '))
          if (Buffer.byteLength(target) < 80) assert.ok(Buffer.byteLength(line) <= 200, line)
        }
      }),
      { numRuns: 3000 },
    )
  })
})
