import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { heirs, receiver } from './spread.ts'

const worker = (process: string, backends: number, isDraining = false) => ({ process, backends, isDraining })

test('whoever has most gives to whoever has least, when that is at least two fewer', () => {
  assert.equal(receiver(4, [worker('new', 0), worker('b', 4)]), 'new')
  assert.equal(receiver(3, [worker('a', 2)]), undefined)
  assert.equal(receiver(3, [worker('a', 0), worker('b', 5)]), undefined)
  assert.equal(receiver(4, [worker('a', 0, true), worker('b', 1)]), undefined)
  assert.equal(receiver(9, []), undefined)
})

test('giving ends, evenly: nothing goes to and fro', () => {
  fc.assert(
    fc.property(fc.array(fc.nat(30), { minLength: 1, maxLength: 6 }), loads => {
      const total = loads.reduce((a, b) => a + b, 0)
      for (let step = 0; ; step++) {
        assert.ok(step <= total, 'it does not end')
        const from = loads.findIndex((own, index) => gives(own, index, loads) !== undefined)
        if (from < 0) break
        const to = Number(gives(loads[from] ?? 0, from, loads))
        loads[from] = (loads[from] ?? 0) - 1
        loads[to] = (loads[to] ?? 0) + 1
      }
      assert.ok(Math.max(...loads) - Math.min(...loads) <= 1)
    }),
  )
})

const gives = (own: number, index: number, loads: readonly number[]): string | undefined =>
  receiver(
    own,
    loads
      .map((backends, at) => worker(String(at), backends))
      .filter((_, at) => at !== index)
      .sort((a, b) => a.backends - b.backends),
  )

test('what a leaving worker has goes to the least loaded', () => {
  assert.deepEqual(heirs(4, [worker('a', 0), worker('b', 2), worker('c', 0, true)]), ['a', 'a', 'a', 'b'])
  assert.deepEqual(heirs(2, []), [undefined, undefined])
})
