import assert from 'node:assert/strict'
import { test } from 'node:test'
import { startNats } from '@spectrum/stack'
import { startLocalRouter } from './harness.ts'

test('without a database a second router is refused in one sentence', async () => {
  await using nats = await startNats()
  await using router = await startLocalRouter(nats)
  assert.ok(router.service.isLeader)
  await assert.rejects(startLocalRouter(nats), /^Error: Another router runs, and database\.type = none/)
})
