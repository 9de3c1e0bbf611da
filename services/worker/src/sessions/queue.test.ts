import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Delivery } from '@spectrum/bus'
import { Command } from '@spectrum/messages'
import fc from 'fast-check'
import { CommandQueue } from './queue.ts'

interface Bench {
  readonly queue: CommandQueue
  readonly handled: string[]
  readonly refused: string[]
  readonly finished: string[]
  readonly state: { outcome: (key: string) => Promise<void> | undefined; mayRun: boolean; changes: number }
  snapshot(): void
}

function bench(maxItems = 200, maxBytes = 256 * 1024): Bench {
  const handled: string[] = []
  const refused: string[] = []
  const finished: string[] = []
  const waiting: (() => void)[] = []
  const state: Bench['state'] = { outcome: () => undefined, mayRun: true, changes: 0 }
  const queue = new CommandQueue({
    maxItems,
    maxBytes,
    mayRun: () => state.mayRun,
    handle: command => {
      handled.push(command.key)
      return state.outcome(command.key)
    },
    refuse: command => refused.push(command.key),
    changes: () => state.changes,
    afterSnapshot: done => waiting.push(done),
    finish: ({ item }) => finished.push(item.key),
  })
  const snapshot = () => {
    for (const done of waiting.splice(0)) done()
  }
  return { queue, handled, refused, finished, state, snapshot }
}

let position = 0
function delivery(key: string, body = ''): Delivery<Command> {
  const value = { to: undefined, kind: 0, body, xhtml: '', originId: '', wantsReceipt: false, chatState: 0 } as const
  const item = Command.create({ key, user: 'romeo@example.org', command: { $case: 'sendMessage', value } })
  return { item, position: ++position, from: 'frontend', finish() {} }
}

const turn = () => new Promise(resolve => setImmediate(resolve))

test('what is handled at once is finished at once', () => {
  const { queue, finished } = bench()
  for (const key of ['a', 'b', 'c']) queue.offer(delivery(key))
  assert.deepEqual(finished, ['a', 'b', 'c'])
  assert.equal(queue.length, 0)
})

test('a slow one holds back those behind it, in order', async () => {
  const { queue, handled, finished, state } = bench()
  const slow = Promise.withResolvers<void>()
  state.outcome = key => (key === 'a' ? slow.promise : undefined)
  for (const key of ['a', 'b', 'c']) queue.offer(delivery(key))
  assert.deepEqual([handled, finished], [['a'], []])
  slow.resolve()
  await turn()
  assert.deepEqual(
    [handled, finished],
    [
      ['a', 'b', 'c'],
      ['a', 'b', 'c'],
    ],
  )
})

test('too many or too much is refused, and finished at once: it must not count against everybody else', async () => {
  const { queue, refused, finished, state } = bench(2, 10_000)
  const slow = Promise.withResolvers<void>()
  state.outcome = key => (key === 'a' ? slow.promise : undefined)
  for (const key of ['a', 'b', 'c', 'd']) queue.offer(delivery(key))
  assert.deepEqual([refused, finished], [['d'], ['d']])
  slow.resolve()
  await turn()
  assert.deepEqual(finished, ['d', 'a', 'b', 'c'])

  const again = Promise.withResolvers<void>()
  state.outcome = key => (key === 'e' ? again.promise : undefined)
  queue.offer(delivery('e'))
  queue.offer(delivery('f', 'x'.repeat(4_000)))
  assert.deepEqual([refused, finished.slice(-1)], [['d', 'f'], ['f']])
  again.resolve()
  await turn()
  assert.deepEqual(finished.slice(-2), ['f', 'e'])
})

test('one that changed the session is finished after its snapshot, and so are those behind it', () => {
  const { queue, handled, finished, state, snapshot } = bench()
  state.outcome = key => {
    if (key === 'join') state.changes++
    return undefined
  }
  for (const key of ['join', 'b']) queue.offer(delivery(key))
  assert.deepEqual([handled, finished], [['join', 'b'], []])
  snapshot()
  assert.deepEqual(finished, ['join', 'b'])
})

test('nothing is begun while the owner may not act; closing gives back what was not begun', async () => {
  const { queue, handled, finished, state } = bench()
  state.mayRun = false
  for (const key of ['a', 'b']) queue.offer(delivery(key))
  assert.deepEqual(handled, [])
  state.mayRun = true
  const slow = Promise.withResolvers<void>()
  state.outcome = () => slow.promise
  queue.resume()
  assert.deepEqual(handled, ['a'])
  assert.deepEqual(
    queue.close().map(({ item }) => item.key),
    ['b'],
  )
  slow.resolve()
  await turn()
  assert.deepEqual([handled, finished], [['a'], ['a']])
})

test('whatever is slow, refused or changes something: every command is finished once, those that were taken in order', async () => {
  const step = fc.record({
    kind: fc.constantFrom('quick', 'slow', 'change'),
    turns: fc.nat(2),
    snapshots: fc.boolean(),
  })
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 60 }), async steps => {
      const { queue, handled, refused, finished, state, snapshot } = bench(5)
      state.outcome = key => {
        const kind = steps[Number(key)]?.kind
        if (kind === 'change') state.changes++
        return kind === 'slow' ? turn().then(() => undefined) : undefined
      }
      for (const [index, { turns, snapshots }] of steps.entries()) {
        queue.offer(delivery(String(index)))
        for (let i = 0; i < turns; i++) await turn()
        if (snapshots) snapshot()
      }
      for (let i = 0; i < steps.length + 2; i++) {
        snapshot()
        await turn()
      }
      const all = steps.map((_, index) => String(index))
      assert.deepEqual([...finished].sort(), [...all].sort())
      const inOrder = finished.filter(key => !refused.includes(key))
      assert.deepEqual(
        inOrder,
        [...inOrder].sort((a, b) => Number(a) - Number(b)),
      )
      assert.deepEqual([...handled, ...refused].sort(), [...all].sort())
      assert.deepEqual(
        handled,
        [...handled].sort((a, b) => Number(a) - Number(b)),
      )
    }),
    { numRuns: 100 },
  )
})
