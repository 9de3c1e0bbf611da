import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { Generations } from './generations.ts'

test('generations of a user grow, whatever the clock does and however often the user comes and goes', () => {
  const steps = fc.array(fc.record({ user: fc.nat(20), passMs: fc.nat(150) }), { maxLength: 200 })
  fc.assert(
    fc.property(steps, list => {
      let now = Date.UTC(2026, 10, 20)
      const generations = new Generations(() => now)
      const last = new Map<number, number>()
      for (const { user, passMs } of list) {
        now += passMs
        const generation = generations.next(`user${user}@example.org`)
        assert.ok(generation > (last.get(user) ?? 0) && generation < 2 ** 32)
        last.set(user, generation)
      }
    }),
  )
})

test('another router goes on above what it has seen', () => {
  const now = Date.UTC(2026, 10, 20)
  const one = new Generations(() => now)
  const other = new Generations(() => now)
  let generation = 0
  for (let count = 0; count < 5; count++) generation = one.next('romeo@montague.example')
  other.seen('romeo@montague.example', generation)
  assert.ok(other.next('romeo@montague.example') > generation)
})
