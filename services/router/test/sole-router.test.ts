import assert from 'node:assert/strict'
import { test } from 'node:test'
import { startNats } from '@spectrum/stack'
import { startLocalRouter } from './harness.ts'

test('without a database a second router is refused in one sentence', async () => {
  await using nats = await startNats()
  await using router = await startLocalRouter(nats)
  assert.ok(router.service.isLeader)
  assert.ok(router.log.lines.some(line => line.startsWith('accounts are kept in memory and lost when the router ends')))
  assert.ok(!router.log.lines.some(line => line.startsWith('the database was migrated')))
  await assert.rejects(startLocalRouter(nats), /^Error: Another router runs, and database\.type = none/)
})
