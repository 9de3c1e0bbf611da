import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { membersOf, interfaceSource as source } from './interface-source.ts'

const root = join(import.meta.dirname, '../../..')
const page = readFileSync(join(root, 'docs/networks.md'), 'utf8')
const rows = page.split('\n').filter(line => line.startsWith('| '))
const named = new Set(rows.flatMap(row => [...row.matchAll(/`([^`]+)`/g)].map(match => match[1] ?? '')))

const eventTypes = new Set([...source.matchAll(/readonly type: '([a-z-]+)'(?! \|)/g)].map(match => match[1] ?? ''))

test('every member and event that docs/networks.md names exists in the interface', () => {
  const checked = { members: 0, events: 0 }
  for (const name of named) {
    const event = /^event ([a-z-]+)$/.exec(name)?.[1]
    if (event !== undefined) {
      assert.ok(eventTypes.has(event), `no event ${event}`)
      checked.events++
      continue
    }
    const [type = '', member, nested] = name.split('.')
    if (member === undefined || !/^[A-Z]/.test(type)) continue
    const text = membersOf(type).get(member)
    assert.ok(text, `${type} has no member ${member}`)
    if (nested !== undefined)
      assert.match(text, new RegExp(`\\b${nested}\\??[:(]`), `${type}.${member} has no ${nested}`)
    checked.members++
  }
  assert.ok(checked.members > 60 && checked.events > 20, JSON.stringify(checked))
})

test('every event and every member of the session is named in docs/networks.md', () => {
  for (const event of eventTypes) assert.ok(named.has(`event ${event}`), `event ${event} is not named`)
  for (const type of ['Connector', 'Session', 'SessionFeatures', 'ChatFeatures', 'Rooms'])
    for (const member of membersOf(type).keys())
      if (member !== 'revision')
        assert.ok(
          [...named].some(name => name === `${type}.${member}` || name.startsWith(`${type}.${member}.`)),
          `${type}.${member} is not named`,
        )
})

test('every message type of Spectrum 2 has its row', () => {
  const ids = rows.flatMap(row => /^\| (\d+) \|/.exec(row)?.[1] ?? []).map(Number)
  assert.deepEqual(
    ids,
    Array.from({ length: 36 }, (_, index) => index + 1),
  )
})
