import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Turnstile } from './turnstile.ts'

const never = new AbortController().signal
const turn = () => new Promise(resolve => setImmediate(resolve))

test('a few at a time for each host, in order of asking', async () => {
  const turnstile = new Turnstile(2)
  const inside: string[] = []
  for (const name of ['a1', 'a2', 'a3', 'a4', 'b1'])
    turnstile.enter(name.slice(0, 1), never).then(() => inside.push(name))
  await turn()
  assert.deepEqual(inside, ['a1', 'a2', 'b1'])
  turnstile.leave('a')
  await turn()
  assert.deepEqual(inside, ['a1', 'a2', 'b1', 'a3'])
  for (const host of ['a', 'a', 'a', 'b']) turnstile.leave(host)
  await turn()
  assert.deepEqual(inside, ['a1', 'a2', 'b1', 'a3', 'a4'])
  const again = turnstile.enter('a', never).then(() => 'in')
  assert.equal(await again, 'in')
})

test('whoever gives up while waiting takes no turn', async () => {
  const turnstile = new Turnstile(1)
  await turnstile.enter('a', never)
  const impatient = new AbortController()
  const given = assert.rejects(turnstile.enter('a', impatient.signal), { name: 'AbortError' })
  let isIn = false
  const next = turnstile.enter('a', never).then(() => {
    isIn = true
  })
  impatient.abort()
  await given
  assert.equal(isIn, false)
  turnstile.leave('a')
  await next
  await assert.rejects(turnstile.enter('b', impatient.signal), { name: 'AbortError' })
})
