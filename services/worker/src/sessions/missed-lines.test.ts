import assert from 'node:assert/strict'
import { test } from 'node:test'
import { MessageReceived, SessionSnapshot } from '@spectrum/messages'
import fc from 'fast-check'
import { type MissedLine, MissedLines } from './missed-lines.ts'

let clock = 0
const line = (body: string, missedBy: readonly string[], more: Partial<MissedLine> = {}): MissedLine => {
  const atMs = ++clock
  return {
    roomName: '#a',
    message: MessageReceived.create({ body, id: `id-${body.slice(0, 8)}` }),
    atMs,
    missedBy,
    ...more,
  }
}
const unread = (body: string, roomName = '#a') => line(body, [], { roomName })
const bodies = (messages: readonly MessageReceived[]) => messages.map(({ body }) => body)

test('every client that comes in has what was missed, in order and once, until as many have it as had missed it', () => {
  const missed = new MissedLines()
  missed.keep(line('1', ['orchard', 'phone']))
  missed.keep(line('2', ['phone'], { roomName: '#b' }))
  missed.keep(line('3', ['orchard', 'phone']))
  assert.deepEqual(bodies(missed.take('#a', 'orchard')), ['1', '3'])
  assert.deepEqual(bodies(missed.take('#a', 'orchard')), [])
  assert.deepEqual(bodies(missed.take('#a', 'phone')), ['1', '3'])
  assert.deepEqual(bodies(missed.take('#a', 'tablet')), [])
  assert.equal(missed.size, 1)
  assert.equal(missed.clear(), 1)
})

test('a client that came back under another name has what its old name missed; who was there and read it has not', () => {
  const missed = new MissedLines()
  missed.keep(line('1', ['orchard.1', 'phone'], { readBy: ['desk'] }))
  assert.deepEqual(bodies(missed.take('#a', 'desk')), [])
  assert.deepEqual(bodies(missed.take('#a', 'orchard.2')), ['1'])
  assert.deepEqual(bodies(missed.take('#a', 'phone')), ['1'])
  assert.deepEqual(bodies(missed.take('#a', 'orchard.3')), [], 'two missed it, two have it')
  assert.deepEqual(bodies(missed.take('#a', 'orchard.1')), ['1'], 'who missed it by name is never left out')
  assert.equal(missed.size, 0)
})

test('returned for one client after the other it is one line; told again and lost again it is told once more', () => {
  const missed = new MissedLines()
  missed.keep(line('1', ['orchard'], { readBy: ['phone'] }))
  missed.keep(line('1', ['phone']))
  assert.equal(missed.size, 1)
  assert.deepEqual(bodies(missed.take('#a', 'orchard')), ['1'])
  missed.keep(line('1', ['orchard']))
  assert.deepEqual(bodies(missed.take('#a', 'orchard')), ['1'])
  assert.deepEqual(bodies(missed.take('#a', 'phone')), ['1'])
  assert.equal(missed.size, 0)
})

test('a client that came in between has only what was said before it did', () => {
  const missed = new MissedLines()
  missed.keep(line('before', ['orchard']))
  const enteredAtMs = ++clock
  missed.keep(line('after', ['orchard']))
  assert.deepEqual(bodies(missed.take('#a', 'orchard', enteredAtMs)), ['before'])
  assert.deepEqual(bodies(missed.take('#a', 'orchard')), ['after'])
})

test('what was said while nobody was there: the last hundred lines of each room, to the first who comes', () => {
  const missed = new MissedLines()
  const lines = Array.from({ length: 120 }, (_, i) => String(i))
  const dropped = lines.map(body => missed.keep(unread(body)))
  assert.equal(
    dropped.reduce((sum, each) => sum + each),
    20,
  )
  assert.equal(missed.keep(unread('elsewhere', '#b')), 0)
  assert.deepEqual(bodies(missed.take('#a', 'orchard')), lines.slice(20))
  assert.deepEqual(bodies(missed.take('#a', 'phone')), [])
  assert.equal(missed.forgetUnread('#b'), 1)
  assert.equal(missed.size, 0)
})

test('the oldest lines give way, by number and by size, those first that enough have been told', () => {
  const missed = new MissedLines()
  missed.keep(line('owed', ['orchard']))
  missed.keep(line('told', ['phone'], { roomName: '#b' }))
  missed.take('#b', 'another')
  for (let i = 2; i < 1_000; i++) assert.equal(missed.keep(line(String(i), ['orchard'])), 0)
  assert.equal(missed.keep(line('instead of what was told', ['orchard'])), 0)
  assert.equal(missed.keep(line('instead of the first', ['orchard'])), 1)
  assert.ok(missed.keep(line('x'.repeat(250 * 1_024), ['orchard'])) > 500)
  assert.ok(missed.keep(line('y'.repeat(100 * 1_024), ['orchard'])) >= 1)
  assert.ok(bodies(missed.take('#a', 'orchard')).at(-1)?.startsWith('y'))
})

test('in a snapshot are the newest lines that fit, with what has become of them, and the number of the others', () => {
  const missed = new MissedLines()
  missed.keep(line('1', ['orchard', 'phone'], { readBy: ['desk'] }))
  missed.keep(line('x'.repeat(60 * 1_024), ['orchard', 'phone']))
  missed.keep(line('2', ['orchard', 'phone'], { readBy: ['desk'] }))
  missed.take('#a', 'phone')
  missed.keep(line('y'.repeat(5 * 1_024), []))
  const { missedLines, missedLeftOut } = SessionSnapshot.decode(
    SessionSnapshot.encode({ ...SessionSnapshot.create(), ...missed.stored() }).finish(),
  )
  assert.equal(missedLeftOut, 2)
  const restored = new MissedLines()
  restored.restore(missedLines)
  assert.deepEqual(bodies(restored.take('#a', 'desk')), ['y'.repeat(5 * 1_024)])
  assert.deepEqual(bodies(restored.take('#a', 'phone')), [])
  assert.deepEqual(bodies(restored.take('#a', 'orchard')), ['2'])
  assert.equal(restored.size, 0)
})

test('whoever comes and goes: nobody is told twice or what they read, and who missed a line has it', () => {
  const resource = fc.constantFrom('orchard', 'phone', 'desk', 'tablet')
  const step = fc.oneof(
    fc.record({ missedBy: fc.uniqueArray(resource, { minLength: 1 }), readBy: fc.uniqueArray(resource) }),
    fc.record({ enters: resource }),
    fc.constant('another worker' as const),
  )
  fc.assert(
    fc.property(fc.array(step, { maxLength: 40 }), steps => {
      let missed = new MissedLines()
      const said: { body: string; missedBy: string[]; readBy: string[] }[] = []
      const told = new Map<string, string[]>()
      const enters = (name: string) => told.set(name, [...(told.get(name) ?? []), ...bodies(missed.take('#a', name))])
      for (const one of steps)
        if (one === 'another worker') {
          const { missedLines } = missed.stored()
          missed = new MissedLines()
          missed.restore(missedLines)
        } else if ('enters' in one) enters(one.enters)
        else {
          const body = String(said.length)
          const readBy = one.readBy.filter(name => !one.missedBy.includes(name))
          missed.keep(line(body, one.missedBy, { readBy }))
          said.push({ body, missedBy: one.missedBy, readBy })
        }
      const isMoved = steps.includes('another worker')
      for (const name of ['orchard', 'phone', 'desk', 'tablet']) {
        enters(name)
        const heard = told.get(name) ?? []
        assert.deepEqual(heard, [...new Set(heard)])
        assert.deepEqual(
          heard,
          heard.toSorted((a, b) => Number(a) - Number(b)),
        )
        for (const { body, missedBy, readBy } of said) {
          if (readBy.includes(name)) assert.ok(!heard.includes(body))
          // A new owner knows nothing of lines that enough have been told.
          if (missedBy.includes(name) && !isMoved) assert.ok(heard.includes(body))
        }
      }
      for (const { body, missedBy } of said) {
        const count = [...told.values()].filter(heard => heard.includes(body)).length
        assert.ok(count >= missedBy.length, `${body} was missed by ${missedBy} and told ${count} times`)
      }
    }),
  )
})
