import assert from 'node:assert/strict'
import { test } from 'node:test'
import { faults } from './faults/index.ts'
import { meant, readOptions, UsageError } from './options.ts'

const namesOf = (...args: string[]): string[] => readOptions(args, faults).faults.map(({ name }) => name)

test('an exact name is one row, a part of names is all that have it', () => {
  assert.deepEqual(namesOf('--only', 'kill worker'), ['kill worker'])
  assert.deepEqual(namesOf('--only', 'Kill Worker, Ergo'), ['kill worker, ergo'])
  assert.deepEqual(namesOf('--only', 'rolling'), ['rolling upgrade', 'rolling upgrade, ergo'])
  assert.equal(namesOf().length, faults.length)
  for (const fault of faults) assert.deepEqual(meant(faults, fault.name.toUpperCase()), [fault])
})

test('the short form is its rows once, the long form all of them five times', () => {
  assert.deepEqual([readOptions(['--short'], faults).times, readOptions([], faults).times], [1, 5])
  assert.equal(readOptions(['--short', '--times', '3'], faults).times, 3)
  assert.deepEqual(
    namesOf('--short'),
    faults.filter(({ isShort }) => isShort).map(({ name }) => name),
  )
})

test('what makes no sense is told apart', () => {
  const told = (...args: string[]): string => {
    try {
      readOptions(args, faults)
    } catch (error) {
      assert.ok(error instanceof UsageError)
      return error.message
    }
    return ''
  }
  assert.match(told('--only', 'kill cloud'), /There is no fault "kill cloud"\. There are: kill worker · /)
  assert.match(told('--times', 'often'), /--times must be a whole number from 1, not "often"/)
  assert.match(told('--times', '0'), /not "0"/)
  assert.match(told('--quick'), /Unknown option '--quick'.*--help/)
  assert.match(told('--short', '--only', 'poison stanza'), /None of these is part of the short form: poison stanza/)
})

test('help and the list are said, and nothing is run', () => {
  assert.match(readOptions(['--help'], faults).says ?? '', /--only NAME/)
  assert.match(readOptions(['--list'], faults).says ?? '', /kill NATS \(short\)/)
})
