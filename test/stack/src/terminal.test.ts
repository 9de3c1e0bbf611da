import assert from 'node:assert/strict'
import { test } from 'node:test'
import { readable, severeLines } from './terminal.ts'

const line = (level: string, msg: string, fields = {}) =>
  JSON.stringify({ level, time: '2026-11-30T12:00:00.000Z', service: 'frontend', msg, ...fields })

test('an address is told as people write it', () => {
  const served = line('info', 'metrics are served', { address: { address: '127.0.0.1', family: 'IPv4', port: 9000 } })
  assert.equal(
    readable('frontend 1', served, 'info'),
    '12:00:00 frontend 1: metrics are served (address=127.0.0.1:9000)',
  )
})

test('of what is harmless only the end of a trouble that was told is told', () => {
  const severe = severeLines()
  const connected = line('info', 'component connected')
  assert.equal(severe('frontend 1', connected), undefined)
  assert.equal(
    severe('frontend 1', line('warn', 'component disconnected')),
    '12:00:00 frontend 1: warn: component disconnected',
  )
  assert.equal(severe('frontend 2', connected), undefined)
  assert.equal(severe('frontend 1', connected), '12:00:00 frontend 1: component connected')
  assert.equal(severe('frontend 1', connected), undefined)
})
