import assert from 'node:assert/strict'
import { test } from 'node:test'
import { answerTo } from './juliet.ts'

const line = (text: string) => `:romeo!~u@loopback PRIVMSG #balcony :${text}`

test('juliet answers what is said and done, without control characters', () => {
  assert.equal(answerTo(line('hello')), 'romeo: hello? So it is on IRC, too.')
  assert.equal(answerTo(line('anybody?')), 'romeo: anybody? So it is on IRC, too.')
  assert.equal(answerTo(line('\u0001ACTION waves\u0001')), 'romeo: waves? So it is on IRC, too.')
  assert.equal(answerTo(line('a \u0002bold\u000f word')), 'romeo: a bold word? So it is on IRC, too.')
  assert.equal(answerTo(line('\u0001VERSION\u0001')), undefined)
  assert.equal(answerTo(':romeo!~u@loopback JOIN #balcony'), undefined)
})

test('her answer fits into a line of IRC whatever was said', () => {
  for (const text of ['x'.repeat(900), 'ü'.repeat(450), '🦖'.repeat(120)]) {
    const answer = answerTo(line(text)) ?? ''
    assert.ok(Buffer.byteLength(answer) < 400, `${Buffer.byteLength(answer)} bytes`)
    assert.ok(answer.isWellFormed() && answer.includes('…?'), answer)
  }
})
