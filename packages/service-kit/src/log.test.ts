import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createLogger, type LogOptions } from './log.ts'

function logged(options: LogOptions = {}) {
  const lines: string[] = []
  const log = createLogger({ ...options, destination: { write: line => void lines.push(line) } })
  return { log, lines, parsed: () => lines.map(line => JSON.parse(line) as Record<string, unknown>) }
}

test('a line is JSON: level, time, fields, sentence', () => {
  const { log, parsed } = logged({ fields: { service: 'worker' } })
  log.child({ backend: 3 }).warn({ login: 'a@example.org' }, 'the session ended')
  const [line] = parsed()
  assert.ok(line && typeof line.time === 'string' && !Number.isNaN(Date.parse(line.time)))
  assert.deepEqual(
    { ...line, time: '' },
    { level: 'warn', time: '', service: 'worker', backend: 3, login: 'a@example.org', msg: 'the session ended' },
  )
})

test('lines below the level are not written', () => {
  const { log, parsed } = logged({ level: 'warn' })
  log.debug({}, 'a')
  log.info({}, 'b')
  log.warn({}, 'c')
  log.error({ err: new Error('d') }, 'e')
  assert.deepEqual(
    parsed().map(({ msg }) => msg),
    ['c', 'e'],
  )
})

test('secrets and bodies are hidden should they be given by mistake', () => {
  const { log, lines, parsed } = logged()
  const slip = { password: 'hunter2', body: 'hunter2', token: 'hunter2', masterKey: 'hunter2', xml: 'hunter2' }
  log.info({ ...slip, account: slip, accounts: [slip] }, 'a slip')
  log.child({ account: slip }).info({}, 'a slip')
  log.error({ config: { service: slip }, err: Object.assign(new Error('refused'), slip) }, 'a slip')
  assert.equal(lines.length, 3)
  assert.ok(!lines.join().includes('hunter2'))
  const err = parsed()[2]?.err as Record<string, unknown>
  assert.equal(err.type, 'Error')
  assert.equal(err.message, 'refused')
  assert.match(String(err.stack), /log\.test\.ts/)
  assert.equal(slip.password, 'hunter2', 'what was given is left as it was')
})

test('anything can be a field: cycles, bytes, big numbers, dates', () => {
  const { log, parsed } = logged()
  const cycle: Record<string, unknown> = {}
  cycle.self = cycle
  log.info({ cycle, bytes: Buffer.from('hunter2'), big: 1n, at: new Date(0), none: undefined, map: new Map() }, 'odd')
  const [line] = parsed()
  assert.equal(line?.bytes, '[7 bytes]')
  assert.equal(line?.big, '1')
  assert.equal(line?.at, '1970-01-01T00:00:00.000Z')
})
