import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import { FirstFit, type Pool } from './first-fit.ts'

describe('first fit', () => {
  test('a million users are placed in less than 30 s: densely, and none above capacity', () => {
    const capacity = 100
    const users = 1_000_000
    const fit = new FirstFit(capacity)
    const began = performance.now()
    for (let user = 0; user < users; user++) {
      if (fit.take() !== undefined) continue
      fit.add(fit.freeNumber)
      assert.notEqual(fit.take(), undefined)
    }
    // A tenth leaves, here and there, and as many come: every gap is filled before a new backend is needed.
    for (let index = 0; index < users / 10; index++) fit.leave((index * 7919) % fit.size)
    for (let index = 0; index < users / 10; index++) assert.notEqual(fit.take(), undefined)
    const seconds = (performance.now() - began) / 1000
    assert.equal(fit.users, users)
    assert.equal(fit.size, users / capacity)
    for (const number of fit.numbers()) assert.equal(fit.usersOn(number), capacity)
    assert.equal(fit.take(), undefined)
    assert.ok(seconds < 30, `${seconds} s`)
  })

  test('a closed backend gets nobody, and its number is used again when it is gone', () => {
    const fit = new FirstFit(2)
    for (const number of [0, 1, 2]) fit.add(number)
    fit.close(0)
    assert.deepEqual([fit.take(), fit.take(), fit.take()], [1, 1, 2])
    fit.leave(1)
    fit.close(1)
    assert.equal(fit.take(), 2)
    assert.equal(fit.take(), undefined)
    fit.remove(0)
    assert.equal(fit.freeNumber, 0)
    fit.add(0, { pool: 'long-run' })
    assert.equal(fit.take(), undefined, 'long-run backends take no normal users')
    assert.equal(fit.take('long-run'), 0)
    assert.deepEqual([fit.usersOn(0), fit.users, fit.freeNumber], [1, 4, 3])
  })

  test('whatever happens: the lowest open backend with room is chosen, and all counts agree', () => {
    const pool = fc.constantFrom<Pool>('normal', 'long-run')
    const number = fc.nat(12)
    const step = fc.oneof(
      { weight: 6, arbitrary: fc.record({ do: fc.constant('take' as const), pool }) },
      { weight: 4, arbitrary: fc.record({ do: fc.constant('leave' as const), number }) },
      { weight: 2, arbitrary: fc.record({ do: fc.constant('add' as const), pool, users: fc.nat(4) }) },
      fc.record({ do: fc.constant('close' as const), number }),
      fc.record({ do: fc.constant('remove' as const), number }),
      fc.record({ do: fc.constant('recounted' as const), number, users: fc.nat(4) }),
    )
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 4 }), fc.array(step, { maxLength: 200 }), (capacity, steps) => {
        const fit = new FirstFit(capacity)
        const model = new Map<number, { pool: Pool; users: number; isOpen: boolean }>()
        for (const one of steps) {
          if (one.do === 'take') {
            const free = [...model].filter(([, slot]) => slot.pool === one.pool && slot.isOpen && slot.users < capacity)
            const wanted = free.length === 0 ? undefined : Math.min(...free.map(([key]) => key))
            assert.equal(fit.take(one.pool), wanted)
            const slot = wanted === undefined ? undefined : model.get(wanted)
            if (slot) slot.users++
          } else if (one.do === 'add') {
            const free = fit.freeNumber
            assert.ok(!model.has(free))
            for (let below = 0; below < free; below++) assert.ok(model.has(below))
            const users = Math.min(one.users, capacity)
            model.set(free, { pool: one.pool, users, isOpen: true })
            fit.add(free, { pool: one.pool, users })
          } else {
            const slot = model.get(one.number)
            fit[one.do](one.number, 'users' in one ? Math.min(one.users, capacity) : 0)
            if (!slot) continue
            if (one.do === 'leave') slot.users = Math.max(0, slot.users - 1)
            if (one.do === 'close') slot.isOpen = false
            if (one.do === 'recounted') slot.users = Math.min(one.users, capacity)
            if (one.do === 'remove') model.delete(one.number)
          }
          assert.equal(
            fit.users,
            [...model.values()].reduce((sum, { users }) => sum + users, 0),
          )
          for (const kind of ['normal', 'long-run'] as const)
            assert.deepEqual(
              [...fit.empty(kind)].sort(),
              [...model]
                .filter(([, { pool, users, isOpen }]) => pool === kind && isOpen && users === 0)
                .map(([key]) => key)
                .sort(),
            )
        }
        assert.equal(fit.size, model.size)
      }),
    )
  })
})
