import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { Departures } from './departures.ts'

function createDepartures() {
  const told: string[] = []
  const departures = new Departures({ signOut: jid => told.push(`signed out ${jid}`) })
  return { departures, told }
}

describe('departures', () => {
  test('a client that is disconnected leaves when the stream is still there', context => {
    context.mock.timers.enable({ apis: ['setTimeout'] })
    const { departures, told } = createDepartures()
    departures.opened(false)
    departures.left('romeo@verona/desk', 'resource', () => told.push('room'))
    departures.left('romeo@verona/desk', 'resource', () => told.push('gateway'))
    assert.deepEqual(told, [])
    context.mock.timers.tick(1_000)
    assert.deepEqual(told, ['room', 'gateway'])
  })

  test('one that leaves a room alone has left it sooner', context => {
    context.mock.timers.enable({ apis: ['setTimeout'] })
    const { departures, told } = createDepartures()
    departures.left('romeo@verona/desk', 'room', () => told.push('room'))
    context.mock.timers.tick(250)
    departures.left('juliet@verona/desk', 'room', () => told.push('her room'))
    departures.left('juliet@verona/desk', 'resource', () => told.push('her gateway'))
    context.mock.timers.tick(999)
    assert.deepEqual(told, ['room'])
    context.mock.timers.tick(1)
    assert.deepEqual(told, ['room', 'her room', 'her gateway'])
  })

  test('one that comes back at once has left before', context => {
    context.mock.timers.enable({ apis: ['setTimeout'] })
    const { departures, told } = createDepartures()
    departures.left('romeo@verona/desk', 'resource', () => told.push('left'))
    departures.heard('juliet@verona/desk')
    assert.deepEqual(told, [])
    departures.heard('romeo@verona/desk')
    assert.deepEqual(told, ['left'])
    context.mock.timers.tick(1_000)
    assert.deepEqual(told, ['left'])
  })

  test('one to whom something came back leaves once, and not when the server goes a moment later', context => {
    context.mock.timers.enable({ apis: ['setTimeout'] })
    const { departures, told } = createDepartures()
    for (const jid of ['romeo@verona/desk', 'romeo@verona/desk', 'juliet@verona/desk'])
      departures.bounced(jid, () => told.push(jid))
    context.mock.timers.tick(1_000)
    assert.deepEqual(told, ['romeo@verona/desk', 'juliet@verona/desk'])
    departures.bounced('paris@verona/desk', () => told.push('paris'))
    departures.lost()
    context.mock.timers.tick(10_000)
    assert.deepEqual(told.length, 2)
  })

  test('a server that goes takes nobody along who returns in time', context => {
    context.mock.timers.enable({ apis: ['setTimeout'] })
    const { departures, told } = createDepartures()
    departures.opened(false)
    departures.left('romeo@verona/desk', 'resource', () => told.push('left'))
    departures.left('juliet@verona/desk', 'resource', () => told.push('left'))
    departures.lost()
    context.mock.timers.tick(10_000)
    departures.opened(true)
    assert.equal(
      departures.bounced('paris@verona/desk', () => undefined),
      true,
    )
    departures.heard('romeo@verona/desk')
    context.mock.timers.tick(120_000)
    assert.deepEqual(told, ['signed out juliet@verona/desk', 'signed out paris@verona/desk'])
    assert.equal(
      departures.bounced('tybalt@verona/desk', () => undefined),
      false,
    )
  })

  test('on a stream that follows from nobody a bounce counts at once, and flushing acts on what is held', context => {
    context.mock.timers.enable({ apis: ['setTimeout'] })
    const { departures, told } = createDepartures()
    departures.opened(false)
    assert.equal(
      departures.bounced('romeo@verona/desk', () => undefined),
      false,
    )
    departures.left('romeo@verona/desk', 'resource', () => told.push('left'))
    departures.flush()
    assert.deepEqual(told, ['left'])
  })
})
