import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { workersFor } from './launcher.ts'
import { Patience } from './patience.ts'

test('as few workers as can run the backends, within the bounds', () => {
  const bounds = fc.record({
    backendsPerWorker: fc.integer({ min: 1, max: 50 }),
    minWorkers: fc.nat(20),
    maxWorkers: fc.integer({ min: 20, max: 100 }),
  })
  fc.assert(
    fc.property(fc.nat(10_000), bounds, (backends, needs) => {
      const workers = workersFor(backends, needs)
      assert.ok(workers >= needs.minWorkers && workers <= needs.maxWorkers)
      if (workers < needs.maxWorkers) assert.ok(workers * needs.backendsPerWorker >= backends)
      if (workers > needs.minWorkers) assert.ok((workers - 1) * needs.backendsPerWorker < backends)
    }),
  )
})

test('patience is over when something was so all the time, and begins anew', () => {
  let now = 0
  const patience = new Patience(10, () => now)
  const at = (time: number, isSo: boolean) => {
    now = time
    return patience.isOver(isSo)
  }
  assert.deepEqual(
    [at(0, true), at(9, true), at(9, false), at(10, true), at(19, true)],
    [false, false, false, false, false],
  )
  assert.deepEqual([at(20, true), at(21, true), at(31, true)], [true, false, true])
})
