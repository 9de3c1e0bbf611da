import assert from 'node:assert/strict'
import { beforeEach, describe, mock, test } from 'node:test'
import { ResourceTrust } from './resource-trust.ts'

const romeo = 'romeo@verona/desk'

describe('trust in resources', () => {
  let told: string[]
  let pings: { to: string; id: string }[]
  let trust: ResourceTrust

  beforeEach(() => {
    mock.timers.reset()
    mock.timers.enable({ apis: ['setTimeout'] })
    told = []
    pings = []
    trust = new ResourceTrust({
      ping: (to, id) => pings.push({ to, id }),
      onLost: to => told.push(`lost ${to}`),
      onGone: to => told.push(`gone ${to}`),
      onHeld: () => undefined,
    })
  })
  let count = 0
  const hold = (name: string, to = romeo, order = ++count) =>
    trust.hold(to, {
      order,
      bytes: 10,
      release: () => told.push(`told ${name}`),
      giveBack: () => told.push(`back ${name}`),
    })

  test('on a stream that follows from nobody all are trusted', () => {
    trust.opened(false)
    assert.equal(trust.isTrusted(romeo), true)
  })

  test('who answers is told all, in order, after one question', () => {
    trust.opened(true)
    assert.equal(trust.isTrusted(romeo), false)
    hold('one')
    hold('two')
    assert.equal(pings.length, 1)
    assert.equal(trust.answered(romeo, pings[0]?.id ?? '', false), true)
    assert.deepEqual(told, ['told one', 'told two'])
    assert.equal(trust.isTrusted(romeo), true)
    assert.equal(trust.heldBytes, 0)
  })

  test('what a stream died with is told before what came while there was none', () => {
    trust.opened(true)
    hold('three', romeo, 3)
    hold('four', romeo, 4)
    hold('one', romeo, 1)
    hold('two', romeo, 2)
    trust.answered(romeo, pings[0]?.id ?? '', false)
    assert.deepEqual(told, ['told one', 'told two', 'told three', 'told four'])
  })

  test('who came back to the restarted server before this stream did is known to be new on it', () => {
    trust.opened(true)
    trust.lost()
    trust.heard(romeo, true)
    assert.deepEqual(told, [])
    trust.opened(true, true)
    assert.deepEqual(told, [`lost ${romeo}`])
    assert.equal(trust.isTrusted(romeo), true)
    assert.equal(pings.length, 0)
    trust.lost()
    trust.opened(true, true)
    assert.equal(trust.isTrusted(romeo), false, 'that was the last stream')
  })

  test('that somebody is there is told behind what waited for them', () => {
    trust = new ResourceTrust({
      ping: () => undefined,
      onLost: to => told.push(`lost ${to}`),
      onGone: () => undefined,
      onHeld: () => undefined,
      onHeard: to => told.push(`heard ${to}`),
    })
    trust.opened(true, true)
    hold('one')
    trust.heard(romeo, true)
    assert.deepEqual(told, [`lost ${romeo}`, 'back one', `heard ${romeo}`])
  })

  test('what is for who is gone goes back, also what comes later; until it speaks', () => {
    trust.opened(true)
    hold('one')
    trust.answered(romeo, pings[0]?.id ?? '', true)
    hold('two')
    assert.deepEqual(told, [`lost ${romeo}`, 'back one', `gone ${romeo}`, 'back two'])
    trust.heard(romeo)
    assert.equal(trust.isTrusted(romeo), true)
  })

  test('no answer in 10 s gives back what is held, and signs nobody out; a lost stream asks again', () => {
    trust.opened(true)
    hold('one')
    mock.timers.tick(9_000)
    trust.lost()
    trust.opened(true)
    assert.equal(pings.length, 2)
    mock.timers.tick(9_000)
    assert.deepEqual(told, [])
    mock.timers.tick(1_000)
    assert.deepEqual(told, [`lost ${romeo}`, 'back one'])
    // Late, its answer still says that it is there.
    trust.answered(romeo, pings[1]?.id ?? '', false)
    assert.equal(trust.isTrusted(romeo), true)
  })

  test('after a restart who answers and says nothing is whom the server knew before', () => {
    trust.opened(true, true)
    hold('one')
    trust.answered(romeo, pings[0]?.id ?? '', false)
    hold('two')
    mock.timers.tick(1_499)
    assert.deepEqual(told, [])
    assert.equal(trust.isTrusted(romeo), false)
    mock.timers.tick(1)
    assert.deepEqual(told, ['told one', 'told two'])
    assert.equal(trust.isTrusted(romeo), true)
  })

  test('after a restart who comes in anew has lost what is held, before or behind an answer; once', () => {
    const juliet = 'juliet@verona/desk'
    trust.opened(true, true)
    for (const to of [romeo, juliet]) hold(to, to)
    trust.answered(juliet, pings[1]?.id ?? '', false)
    for (const to of [romeo, juliet]) trust.heard(to, true)
    assert.deepEqual(
      told,
      [romeo, juliet].flatMap(to => [`lost ${to}`, `back ${to}`]),
    )
    trust.heard(romeo, true)
    assert.equal(told.length, 4)
    mock.timers.tick(2_000)
    assert.equal(told.length, 4)
    assert.equal(trust.isTrusted(romeo), true)
  })

  test('the first who is gone tells that the server was restarted', () => {
    trust.opened(true)
    for (const to of ['juliet@verona/desk', romeo]) hold(to, to)
    trust.answered('juliet@verona/desk', pings[0]?.id ?? '', true)
    told.length = 0
    trust.answered(romeo, pings[1]?.id ?? '', false)
    assert.deepEqual(told, [])
    mock.timers.tick(1_500)
    assert.deepEqual(told, [`told ${romeo}`])
  })

  test('an answer of an earlier stream says nothing, and one to nothing of ours is not taken', () => {
    trust.opened(true)
    hold('one')
    trust.lost()
    trust.opened(true)
    assert.equal(trust.answered(romeo, pings[0]?.id ?? '', true), true)
    assert.deepEqual(told, [])
    assert.equal(trust.answered(romeo, 'other', false), false)
  })

  test('too much for one resource goes back', () => {
    trust.opened(true)
    for (let n = 0; n <= 1_000; n++) hold(String(n))
    assert.equal(told.filter(line => line.startsWith('back')).length, 1_001)
    assert.equal(trust.heldBytes, 0)
  })

  test('200 are asked at a time', () => {
    trust.opened(true)
    for (let n = 0; n < 300; n++) trust.check(`user${n}@verona/desk`)
    assert.equal(pings.length, 200)
    for (const { to, id } of pings.slice(0, 50)) trust.answered(to, id, false)
    assert.equal(pings.length, 250)
  })

  test('the time of mistrust ends', () => {
    trust.opened(true)
    mock.timers.tick(120_000)
    assert.equal(trust.isTrusted(romeo), true)
  })
})
