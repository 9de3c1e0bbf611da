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
    departures.opened()
    departures.disconnected('romeo@verona/desk', () => told.push('room'))
    departures.disconnected('romeo@verona/desk', () => told.push('gateway'))
    assert.deepEqual(told, [])
    context.mock.timers.tick(1_000)
    assert.deepEqual(told, ['room', 'gateway'])
  })

  test('one that comes back at once has left before', context => {
    context.mock.timers.enable({ apis: ['setTimeout'] })
    const { departures, told } = createDepartures()
    departures.disconnected('romeo@verona/desk', () => told.push('left'))
    departures.heard('juliet@verona/desk')
    assert.deepEqual(told, [])
    departures.heard('romeo@verona/desk')
    assert.deepEqual(told, ['left'])
    context.mock.timers.tick(1_000)
    assert.deepEqual(told, ['left'])
  })

  test('a server that goes takes nobody along who returns in time', context => {
    context.mock.timers.enable({ apis: ['setTimeout'] })
    const { departures, told } = createDepartures()
    departures.opened()
    departures.disconnected('romeo@verona/desk', () => told.push('left'))
    departures.disconnected('juliet@verona/desk', () => told.push('left'))
    departures.lost()
    context.mock.timers.tick(10_000)
    departures.opened()
    assert.equal(departures.bounced('paris@verona/desk'), true)
    departures.heard('romeo@verona/desk')
    context.mock.timers.tick(120_000)
    assert.deepEqual(told, ['signed out juliet@verona/desk', 'signed out paris@verona/desk'])
    assert.equal(departures.bounced('tybalt@verona/desk'), false)
  })

  test('on the first stream a bounce counts at once, and flushing acts on what is held', context => {
    context.mock.timers.enable({ apis: ['setTimeout'] })
    const { departures, told } = createDepartures()
    departures.opened()
    assert.equal(departures.bounced('romeo@verona/desk'), false)
    departures.disconnected('romeo@verona/desk', () => told.push('left'))
    departures.flush()
    assert.deepEqual(told, ['left'])
  })
})
