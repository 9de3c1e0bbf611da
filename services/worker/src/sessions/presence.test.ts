import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Show } from '@spectrum/messages'
import { aggregate, Resources } from './presence.ts'

const resource = (show: Show, priority = 0, status = '') => ({ show, priority, status })

test('the highest priority speaks for the user, then the most available, then the latest', () => {
  const { SHOW_UNSPECIFIED, SHOW_AWAY, SHOW_CHAT, SHOW_DND } = Show
  assert.equal(aggregate([]), undefined)
  assert.equal(aggregate([resource(SHOW_UNSPECIFIED, 0), resource(SHOW_DND, 5)])?.show, SHOW_DND)
  assert.equal(aggregate([resource(SHOW_AWAY), resource(SHOW_CHAT), resource(SHOW_UNSPECIFIED)])?.show, SHOW_CHAT)
  assert.equal(aggregate([resource(SHOW_UNSPECIFIED, -1), resource(SHOW_AWAY, 0)])?.show, SHOW_AWAY)
  assert.equal(aggregate([resource(SHOW_AWAY, 0, 'one'), resource(SHOW_AWAY, 0, 'two')])?.status, 'two')
  assert.equal(aggregate([resource(SHOW_AWAY, 127), resource(SHOW_CHAT, -128)])?.show, SHOW_AWAY)
})

test('a resource is told the gateway’s presence once, and again only when it changed', () => {
  const resources = new Resources()
  resources.set('a', resource(Show.SHOW_UNSPECIFIED))
  const online = { show: Show.SHOW_UNSPECIFIED, status: '' }
  assert.deepEqual(resources.toTell(online), ['a'])
  assert.deepEqual(resources.toTell(online), [])
  resources.set('b', resource(Show.SHOW_UNSPECIFIED))
  assert.deepEqual(resources.toTell(online), ['b'])
  assert.deepEqual(resources.toTell({ show: Show.SHOW_AWAY, status: '' }), ['a', 'b'])
  resources.remove('a')
  resources.set('a', resource(Show.SHOW_AWAY))
  assert.deepEqual(resources.toTell({ show: Show.SHOW_AWAY, status: '' }), ['a'])
})

test('setting tells whether something changed', () => {
  const resources = new Resources()
  assert.equal(resources.set('a', resource(Show.SHOW_AWAY)), true)
  assert.equal(resources.set('a', resource(Show.SHOW_AWAY)), false)
  assert.equal(resources.set('a', resource(Show.SHOW_AWAY, 1)), true)
  assert.deepEqual(resources.aggregate(), { show: 'away' })
})
