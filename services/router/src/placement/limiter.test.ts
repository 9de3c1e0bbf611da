import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setImmediate as turn } from 'node:timers/promises'
import { Limiter } from './limiter.ts'

test('at most so many run at a time, in the order of the calls, also behind failures', async () => {
  const limiter = new Limiter(3)
  const started: number[] = []
  let running = 0
  let most = 0
  const all = Array.from({ length: 3000 }, (_, index) =>
    limiter.run(async () => {
      started.push(index)
      most = Math.max(most, ++running)
      if (index % 100 === 0) await turn()
      running--
      if (index % 7 === 0) throw new Error('sometimes')
    }),
  )
  assert.equal(limiter.waiting, 2997)
  await Promise.allSettled(all)
  assert.equal(most, 3)
  assert.deepEqual(
    started,
    started.toSorted((one, other) => one - other),
  )
  assert.equal(started.length, 3000)
  assert.equal(limiter.waiting, 0)
  await limiter.run(async () => undefined)
})
