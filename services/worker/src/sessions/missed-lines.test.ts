import assert from 'node:assert/strict'
import { test } from 'node:test'
import { MessageReceived } from '@spectrum/messages'
import { MissedLines } from './missed-lines.ts'

const line = (body: string) => MessageReceived.create({ body })
const bodies = (messages: readonly MessageReceived[]) => messages.map(({ body }) => body)

test('every client that comes in has what was missed, in order and once, until as many have it as had missed it', () => {
  const missed = new MissedLines()
  missed.keep('#a', line('1'), 2)
  missed.keep('#b', line('2'), 1)
  missed.keep('#a', line('3'), 2)
  assert.deepEqual(bodies(missed.take('#a', 'orchard')), ['1', '3'])
  assert.deepEqual(bodies(missed.take('#a', 'orchard')), [])
  assert.deepEqual(bodies(missed.take('#a', 'phone')), ['1', '3'])
  assert.deepEqual(bodies(missed.take('#a', 'tablet')), [])
  assert.equal(missed.size, 1)
  assert.equal(missed.clear(), 1)
})

test('the oldest lines give way: by number and by size', () => {
  const missed = new MissedLines()
  for (let i = 0; i < 1_000; i++) assert.equal(missed.keep('#a', line(String(i)), 1), 0)
  assert.equal(missed.keep('#a', line('last'), 1), 1)
  assert.equal(missed.keep('#a', line('x'.repeat(200 * 1_024)), 1), 1)
  assert.ok(missed.keep('#a', line('x'.repeat(100 * 1_024)), 1) >= 1_000)
  assert.equal(missed.size, 1)
})
