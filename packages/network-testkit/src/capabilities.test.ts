import assert from 'node:assert/strict'
import { test } from 'node:test'
import { cases } from './cases/index.ts'
import { capabilitiesOf } from './interface-source.ts'

const capabilities = ['SessionFeatures', 'ChatFeatures', 'Rooms'].flatMap(capabilitiesOf)
const covered = new Set(cases.flatMap(({ covers = [] }) => covers))

test('the walk finds members, methods of members, and members without any', () => {
  for (const name of ['SessionFeatures.authorization.deny', 'ChatFeatures.history.fetch', 'Rooms.configuration.write'])
    assert.ok(capabilities.includes(name), name)
  for (const name of [
    'ChatFeatures.replies',
    'SessionFeatures.commands',
    'SessionFeatures.search.find',
    'Rooms.create',
  ])
    assert.ok(capabilities.includes(name), name)
  assert.ok(capabilities.length > 45, capabilities.join(' '))
})

for (const name of capabilities)
  test(`a case covers ${name}`, () => {
    assert.ok(covered.has(name), `no case of the suite says that it covers ${name}`)
  })

test('no case covers what is not in the interface', () => {
  assert.deepEqual(
    [...covered].filter(name => !capabilities.includes(name)),
    [],
  )
})

test('no two cases have the same name', () => {
  const names = cases.map(({ name }) => name)
  assert.equal(new Set(names).size, names.length)
})
