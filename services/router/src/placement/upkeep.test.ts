import assert from 'node:assert/strict'
import { test } from 'node:test'
import { heaviestBackend } from './upkeep.ts'

const worker = (rss: number, sessions: Record<string, number>) => ({ info: { rss, sessions } })

test('the memory collector picks, in the largest worker, the backend with most users that may still get some', () => {
  const workers = [worker(100, { 0: 90 }), worker(300, { 1: 10, 2: 30, 3: 20 }), worker(200, { 4: 99 })]
  assert.equal(
    heaviestBackend(workers, () => true),
    2,
  )
  assert.equal(
    heaviestBackend(workers, number => number !== 2),
    3,
  )
  assert.equal(
    heaviestBackend(workers, number => number === 4),
    undefined,
  )
})

test('without a word of the workers about their memory nothing is picked', () => {
  assert.equal(
    heaviestBackend([], () => true),
    undefined,
  )
  assert.equal(
    heaviestBackend([{ info: { backends: 3 } }, { info: { sessions: 'many' } }], () => true),
    undefined,
  )
  assert.equal(
    heaviestBackend([{ info: { rss: 5, sessions: null } }], () => true),
    undefined,
  )
})
