import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Spacing } from './spacing.ts'

test('turns come in order and so far apart; who gives up takes none', async () => {
  using spacing = new Spacing(50)
  const passed: string[] = []
  const began = performance.now()
  const leaving = new AbortController()
  const turn = (name: string, signal?: AbortSignal) => spacing.turn(name, { signal }).then(() => passed.push(name))
  await turn('a')
  const given = ['b', 'c', 'd'].map(name => assert.rejects(turn(name, leaving.signal), { code: 'unavailable' }))
  const all = [turn('e'), turn('f')]
  leaving.abort()
  await Promise.all([...given, ...all])
  const ms = performance.now() - began
  assert.deepEqual(passed, ['a', 'e', 'f'])
  assert.ok(ms >= 99 && ms < 500, `${ms} ms`)
})

test('who asks again and again keeps the place in the line', async () => {
  using spacing = new Spacing(100)
  const passed: string[] = []
  const insist = async (name: string) => {
    for (;;) {
      try {
        await spacing.turn(name, { limitMs: 20 })
        return passed.push(name)
      } catch (error) {
        assert.equal((error as { code: string }).code, 'rate-limited')
      }
    }
  }
  await Promise.all(['a', 'b', 'c', 'd', 'e'].map(insist))
  assert.deepEqual(passed, ['a', 'b', 'c', 'd', 'e'])
})

test('asked twice for one user, the former question is given up', async () => {
  using spacing = new Spacing(30)
  await spacing.turn('a')
  const former = assert.rejects(spacing.turn('b'), { code: 'unavailable' })
  await spacing.turn('b')
  await former
})

test('without a gap nobody waits; closed, nobody passes', async () => {
  await new Spacing(0).turn('a')
  const spacing = new Spacing(60_000)
  await spacing.turn('a')
  const waiting = spacing.turn('b')
  spacing[Symbol.dispose]()
  await assert.rejects(waiting, { code: 'unavailable' })
  await assert.rejects(spacing.turn('b'), { code: 'unavailable' })
})
