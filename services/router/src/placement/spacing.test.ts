import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Spacing } from './spacing.ts'

test('turns come in order and so far apart; who gives up takes none', async () => {
  using spacing = new Spacing(50)
  const passed: string[] = []
  const began = performance.now()
  const leaving = new AbortController()
  const turn = (name: string, signal?: AbortSignal) => spacing.turn(signal).then(() => passed.push(name))
  await turn('a')
  const given = ['b', 'c', 'd'].map(name => assert.rejects(turn(name, leaving.signal), { code: 'unavailable' }))
  const all = [turn('e'), turn('f')]
  leaving.abort()
  await Promise.all([...given, ...all])
  const ms = performance.now() - began
  assert.deepEqual(passed, ['a', 'e', 'f'])
  assert.ok(ms >= 99 && ms < 500, `${ms} ms`)
})

test('without a gap nobody waits; closed, nobody passes', async () => {
  await new Spacing(0).turn()
  const spacing = new Spacing(60_000)
  await spacing.turn()
  const waiting = spacing.turn()
  spacing[Symbol.dispose]()
  await assert.rejects(waiting, { code: 'unavailable' })
  await assert.rejects(spacing.turn(), { code: 'unavailable' })
})
