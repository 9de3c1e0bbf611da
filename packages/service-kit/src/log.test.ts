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
  const { log, lines } = logged()
  const slip = { password: 'hunter2', body: 'hunter2', token: 'hunter2', masterKey: 'hunter2', xml: 'hunter2' }
  log.info({ ...slip, account: slip }, 'a slip')
  log.child({ account: slip }).info({}, 'a slip')
  log.error({ config: { service: slip } }, 'a slip')
  assert.equal(lines.length, 3)
  assert.ok(!lines.join().includes('hunter2'))
})
