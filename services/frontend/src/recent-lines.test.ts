import assert from 'node:assert/strict'
import { test } from 'node:test'
import { MessageReceived } from '@spectrum/messages'
import { RecentLines } from './recent-lines.ts'

test('a line that bounces soon after it was confirmed is found, once', () => {
  let now = 0
  const recent = new RecentLines(() => now)
  const line = (id: string) => ({
    user: 'romeo@verona',
    resource: 'desk',
    message: MessageReceived.fromPartial({ id, body: id }),
    atMs: 1,
  })
  recent.confirmed(line('a'))
  now = 1_500
  recent.confirmed(line('b'))
  assert.equal(recent.count(1_000), 1)
  assert.equal(recent.count(2_000), 2)
  assert.equal(recent.bounced('romeo@verona/desk', 'a')?.message.body, 'a')
  assert.equal(recent.bounced('romeo@verona/desk', 'a'), undefined)
  assert.equal(recent.bounced('romeo@verona/phone', 'b'), undefined)
  now = 3_501
  assert.equal(recent.bounced('romeo@verona/desk', 'b'), undefined)
})
