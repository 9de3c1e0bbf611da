import assert from 'node:assert/strict'
import { beforeEach, describe, mock, test } from 'node:test'
import { AwaitedPeople } from './awaited-people.ts'

const juliet = 'juliet@verona'

describe('people who are about to come back', () => {
  let told: string[]
  let held: number
  let people: AwaitedPeople
  let count = 0

  beforeEach(() => {
    mock.timers.reset()
    mock.timers.enable({ apis: ['setTimeout'] })
    told = []
    held = 0
    count = 0
    people = new AwaitedPeople({
      onHeld: bytes => {
        held = bytes
      },
    })
  })

  const say = (name: string, user = juliet, order = ++count) => {
    if (people.isAwaited(user)) people.hold(user, { order, bytes: 10, release: () => told.push(name) })
    else told.push(name)
  }

  test('on a server that was not away nobody is waited for', () => {
    people.opened(false)
    say('one')
    assert.deepEqual(told, ['one'])
  })

  test('what is for somebody who is not back waits, in order, until they are heard', () => {
    people.opened(true)
    say('two', juliet, 2)
    say('three', juliet, 3)
    say('one', juliet, 1)
    assert.deepEqual(told, [])
    assert.equal(held, 30)
    people.heard('romeo@verona')
    assert.deepEqual(told, [])
    people.heard(juliet)
    say('four', juliet, 4)
    assert.deepEqual(told, ['one', 'two', 'three', 'four'])
    assert.equal(held, 0)
  })

  test('who stays away is waited for ten seconds, and their server keeps what comes then', () => {
    people.opened(true)
    say('one')
    mock.timers.tick(9_999)
    assert.deepEqual(told, [])
    mock.timers.tick(1)
    say('two')
    assert.deepEqual(told, ['one', 'two'])
  })

  test('what waits when the stream breaks waits for the next one', () => {
    people.opened(true)
    say('one')
    people.lost()
    mock.timers.tick(60_000)
    assert.deepEqual(told, [])
    people.opened(true)
    mock.timers.tick(9_000)
    assert.deepEqual(told, [])
    people.lost()
    people.opened(false)
    assert.deepEqual(told, ['one'])
  })

  test('of one person so much waits and no more', () => {
    people.opened(true)
    for (let line = 0; line <= 1_000; line++) say(`${line}`)
    say('the next')
    say('another', 'romeo@verona')
    assert.equal(told.length, 1_002)
    assert.equal(told.at(-1), 'the next')
    assert.equal(held, 10)
  })

  test('at the end nothing is told any more', () => {
    people.opened(true)
    say('one')
    people.close()
    mock.timers.tick(60_000)
    people.heard(juliet)
    assert.deepEqual(told, [])
    assert.equal(held, 0)
  })
})
