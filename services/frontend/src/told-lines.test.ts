import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Event, MessageReceived } from '@spectrum/messages'
import { ToldLines } from './told-lines.ts'

const line = (
  networkId: string,
  epoch: number,
  delayedAtMs?: number,
  key = `romeo@example.org/${networkId}`,
): Event => {
  const value = MessageReceived.create({ networkId, body: 'x', ...(delayedAtMs !== undefined && { delayedAtMs }) })
  return Event.create({ user: 'romeo@example.org', key, backend: 1, epoch, event: { $case: 'messageReceived', value } })
}

test('a line of the past that an earlier owner told is a double; all else is not', () => {
  const told = new ToldLines()
  assert.ok(!told.isDouble(line('a', 1)))
  assert.ok(!told.isDouble(line('a', 1, 5)), 'the same owner: delivered again')
  assert.ok(!told.isDouble(line('b', 2, 5)), 'never told')
  assert.ok(told.isDouble(line('a', 2, 5)))
  assert.ok(!told.isDouble(line('a', 2)), 'no line of the past')
  assert.ok(!told.isDouble(line('a', 2, 5, 'key-of-its-own')), 'told again on purpose')
  assert.ok(told.isDouble(line('b', 3, 5)))
  assert.ok(!told.isDouble(line('c', 2)), 'an earlier owner, late')
  assert.ok(told.isDouble(line('c', 3, 5)))
})

test('what is remembered is bounded, the last lines always', () => {
  const told = new ToldLines()
  for (let n = 0; n < 5_000; n++) told.isDouble(line(`m${n}`, 1))
  let doubles = 0
  for (let n = 0; n < 5_000; n++) if (told.isDouble(line(`m${n}`, 2, 5))) doubles++
  assert.ok(doubles >= 512 && doubles <= 1_024, `${doubles}`)
  assert.ok(told.isDouble(line('m4999', 2, 5)))
})
