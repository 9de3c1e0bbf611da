import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Event } from '@spectrum/messages'
import { RecentPrivateLines } from './recent-private-lines.ts'

test('what was confirmed right before the end, or before its reader went, may not have been read; once, oldest first', () => {
  let now = 0
  const recent = new RecentPrivateLines(() => now)
  const confirm = (atMs: number, order: number, resource = '', user = 'romeo@verona') => {
    now = atMs
    recent.confirmed({ order, resource, event: Event.fromPartial({ user, key: `${order}` }) })
  }
  confirm(1_000, 1)
  confirm(1_750, 2, 'phone', 'juliet@verona')
  confirm(1_760, 4, '', 'paris@verona')
  confirm(3_750, 5)
  // It was first when it came, and waited.
  confirm(3_800, 3, 'desk')
  now = 4_000
  assert.equal(recent.count(1_000), 2)
  const left = new Map([
    ['juliet@verona/phone', 2_000],
    ['paris@verona', 2_000],
  ])
  recent.lost(jid => left.get(jid))
  const taken = () => recent.takeUncertain().map(({ order }) => order)
  assert.deepEqual(taken(), [2, 3, 4, 5])
  assert.deepEqual(taken(), [])
  recent.lost(() => undefined)
  assert.deepEqual(taken(), [], 'those of the last stream')
  assert.equal(recent.count(8_000), 0)
})

test('of the past so much is kept and no more', () => {
  let now = 0
  const recent = new RecentPrivateLines(() => now)
  for (let order = 0; order < 100_000; order++) {
    now += 0.1
    recent.confirmed({ order, resource: '', event: Event.fromPartial({ user: 'romeo@verona' }) })
  }
  recent.lost(() => undefined)
  const lines = recent.takeUncertain()
  assert.equal(lines.at(-1)?.order, 99_999)
  assert.ok(lines.length === 3_000 || lines.length === 3_001, `${lines.length} in 300 ms`)
})
