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

test('what was confirmed right before the end of the stream, or before its client went, may not have been read', () => {
  let now = 0
  const recent = new RecentLines(() => now)
  const confirm = (atMs: number, id: string, resource = 'desk', node = '#verona') => {
    now = atMs
    const message = MessageReceived.fromPartial({ id, body: id, from: { name: node, node } })
    recent.confirmed({ user: 'romeo@verona', resource, message, atMs: 1 })
  }
  confirm(1_000, 'early')
  confirm(1_750, 'before-it-went', 'phone')
  confirm(3_750, 'late')
  confirm(3_800, 'elsewhere', 'desk', '#mantua')
  now = 4_000
  // The phone went two seconds before the stream did.
  recent.lost(fullJid => (fullJid.endsWith('phone') ? 2_000 : undefined))
  const ids = (resource: string, node?: string) =>
    recent.takeUncertain(`romeo@verona/${resource}`, node).map(({ message }) => message.id)
  assert.deepEqual(ids('desk', '#verona'), ['late'])
  assert.deepEqual(ids('desk', '#verona'), [], 'once')
  assert.deepEqual(ids('desk'), ['elsewhere'])
  assert.deepEqual(ids('phone'), ['before-it-went'])
  confirm(5_000, 'next')
  recent.lost(() => undefined)
  recent.forgetUncertain()
  assert.deepEqual(ids('desk'), [])
})
