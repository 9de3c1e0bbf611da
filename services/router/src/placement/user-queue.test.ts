import assert from 'node:assert/strict'
import { test } from 'node:test'
import { UserQueue } from './user-queue.ts'

test('one user’s work runs in order, also behind a failure; others do not wait', async () => {
  const queue = new UserQueue()
  const log: string[] = []
  const gate = Promise.withResolvers<void>()
  const first = queue.run('romeo', async () => {
    await gate.promise
    log.push('romeo 1')
    throw new Error('first')
  })
  const second = queue.run('romeo', async () => log.push('romeo 2'))
  await queue.run('juliet', async () => log.push('juliet'))
  assert.deepEqual(log, ['juliet'])
  gate.resolve()
  await assert.rejects(first, { message: 'first' })
  await second
  await queue.idle()
  assert.deepEqual(log, ['juliet', 'romeo 1', 'romeo 2'])
  assert.equal(queue.size, 0)
})
