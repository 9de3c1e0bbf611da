import assert from 'node:assert/strict'
import { test } from 'node:test'
import { SessionSnapshot } from '@spectrum/messages'
import { NetworkError } from '@spectrum/network'
import { waitUntil } from '@spectrum/stack'
import { Snapshots } from './snapshots.ts'

function bench(intervalMs: number) {
  const writes: { at: number; generation: number }[] = []
  const results: string[] = []
  const state = { generation: 0, failures: 0, error: new NetworkError('unavailable', 'away'), errors: 0 }
  const log = { debug() {}, info() {}, warn() {}, error: () => void state.errors++ }
  const snapshots = new Snapshots({
    intervalMs,
    retryMs: 20,
    giveUpMs: 100,
    log,
    read: isLean => SessionSnapshot.create({ generation: state.generation, username: isLean ? 'lean' : 'full' }),
    write: async ({ generation, username }) => {
      const isTooLarge = state.error.code === 'too-large' && username === 'lean'
      if (!(isTooLarge && state.failures < Number.POSITIVE_INFINITY) && state.failures-- > 0) throw state.error
      writes.push({ at: performance.now(), generation })
    },
    onResult: result => results.push(result),
  })
  return { snapshots, writes, results, state }
}

test('many changes are one write at a time and one per interval, the last of them included', async () => {
  const { snapshots, writes, state } = bench(100)
  for (let i = 0; i < 50; i++) {
    state.generation = i
    snapshots.markChanged()
    await new Promise(resolve => setTimeout(resolve, 5))
  }
  await waitUntil(() => writes.at(-1)?.generation === 49, { describe: () => JSON.stringify(writes) })
  assert.ok(writes.length <= 6, `${writes.length} writes in 350 ms`)
  for (const [index, { at }] of writes.entries()) assert.ok(index === 0 || at - (writes[index - 1]?.at ?? 0) >= 98)
})

test('who waits is called back when a write that began after the change is done', async () => {
  const { snapshots, writes } = bench(50)
  const called: number[] = []
  snapshots.afterStored(() => called.push(0))
  assert.deepEqual(called, [0])
  snapshots.markChanged()
  snapshots.afterStored(() => called.push(writes.length))
  await waitUntil(() => called.length === 2)
  snapshots.markChanged()
  snapshots.afterStored(() => called.push(writes.length))
  await waitUntil(() => called.length === 3)
  assert.deepEqual(called, [0, 1, 2])
})

test('a failed write is tried again, and closing calls back whoever waits', async () => {
  const { snapshots, results, state } = bench(10)
  state.failures = 2
  snapshots.markChanged()
  await snapshots.flush()
  assert.deepEqual(results, ['failed', 'failed', 'written'])
  state.failures = Number.POSITIVE_INFINITY
  snapshots.markChanged()
  let isCalled = false
  snapshots.afterStored(() => {
    isCalled = true
  })
  await snapshots.close()
  assert.ok(isCalled)
})

test('a snapshot that is too large is written without what a new owner can do without', async () => {
  const { snapshots, results, state } = bench(10)
  state.error = new NetworkError('too-large', 'no')
  state.failures = 1_000
  for (let i = 0; i < 2; i++) {
    snapshots.markChanged()
    await snapshots.flush()
  }
  assert.deepEqual(results, ['failed', 'lean', 'failed', 'lean'])
  assert.equal(state.errors, 1)
})

test('who waits is not held up for ever by a snapshot that the bus does not take', async () => {
  const { snapshots, results, state } = bench(10)
  state.failures = Number.POSITIVE_INFINITY
  for (const error of [new NetworkError('too-large', 'no'), new NetworkError('unexpected', 'no')]) {
    state.error = error
    snapshots.markChanged()
    await snapshots.flush()
    assert.equal(results.at(-1), 'given-up')
  }
  assert.equal(state.errors, 2)
  state.failures = 0
  snapshots.markChanged()
  await snapshots.flush()
  assert.equal(results.at(-1), 'written')
})
