import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { ReportIdleRequest } from '@spectrum/messages'
import { IdleUsers } from './idle-users.ts'
import type { RunningBackend } from './running-backend.ts'

const log = { debug() {}, info() {}, warn() {}, error() {} }

test('who did nothing for long is reported, with backend and epoch; who is leaving is not', async () => {
  const session = (user: string, lastActiveMs: number, closing?: Promise<void>) => [
    user,
    { user, lastActiveMs, closing },
  ]
  const sessions = new Map([
    session('idle', 1_000),
    session('busy', 95_000),
    session('leaving', 1_000, Promise.resolve()),
  ] as never)
  const backend = { number: 3, epoch: 7, sessions } as unknown as RunningBackend
  const reports: ReportIdleRequest[] = []
  const idle = new IdleUsers({
    idleSeconds: 60,
    log,
    now: () => 100_000,
    backends: () => [backend],
    report: async request => reports.push(request),
  })
  await idle.look()
  assert.deepEqual(reports, [{ backend: 3, epoch: 7, users: ['idle'] }])
})
