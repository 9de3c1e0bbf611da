import assert from 'node:assert/strict'
import { beforeEach, describe, test } from 'node:test'
import { parseElement } from '@spectrum/xmpp'
import { PlaceCheck } from './place-check.ts'

const attributes = (stanza = '') => parseElement(stanza)?.attrs ?? {}

describe('the check of places', () => {
  let now: number
  let written: string[]
  let confirm: () => void
  let lost: number[]
  let check: PlaceCheck

  beforeEach(() => {
    now = 0
    written = []
    lost = []
    check = new PlaceCheck({
      domain: 'irc.localhost',
      resource: 'frontend-1',
      write: (stanzas, onConfirmed) => {
        written = [...stanzas]
        confirm = onConfirmed
      },
      onLost: probes => lost.push(probes),
      now: () => now,
    })
  })

  /** The server has processed the round, and hands so many of it back. */
  const answer = (count: number) => {
    confirm()
    for (const stanza of written.slice(0, count)) {
      const { id, from, to } = attributes(stanza)
      assert.equal(check.returned(String(id), String(from), String(to)), true)
    }
    now += 5_000
  }

  test('all that come back tell that it is whole', () => {
    assert.equal(check.look(3), 'unknown')
    assert.equal(written.length, 24)
    answer(24)
    assert.equal(check.look(3), 'whole')
    assert.deepEqual(lost, [0])
  })

  test('what does not come back twice in a row tells that it is broken', () => {
    check.look(1)
    assert.equal(written.length, 16)
    answer(8)
    assert.equal(check.look(1), 'unknown')
    answer(16)
    assert.equal(check.look(1), 'whole')
    answer(8)
    assert.equal(check.look(1), 'unknown')
    answer(8)
    assert.equal(check.look(1), 'broken')
    answer(16)
    assert.equal(check.look(1), 'whole')
    assert.deepEqual(lost, [8, 0, 8, 8, 0])
  })

  test('a server that has not processed them, or only just, is waited for', () => {
    check.look(2)
    now += 60_000
    assert.equal(check.look(2), 'unknown')
    confirm()
    now += 1_000
    assert.equal(check.look(2), 'unknown')
    assert.deepEqual(lost, [])
    now += 1_000
    check.look(2)
    assert.deepEqual(lost, [16])
  })

  test('other users each time, and what was under way when a stream ended does not count', () => {
    check.look(2)
    const [before] = written
    answer(0)
    check.look(2)
    assert.notEqual(attributes(written[0]).from, attributes(before).from)
    answer(0)
    check.forget()
    assert.equal(check.look(2), 'unknown')
    answer(0)
    assert.equal(check.look(2), 'unknown', 'this is the first of the new stream')
  })

  test('what is another’s, or no probe, is not taken', () => {
    check.look(1)
    const { id = '', from = '', to = '' } = attributes(written[0])
    assert.equal(check.returned(id, from, 'irc.localhost/frontend-2'), false)
    assert.equal(check.returned('check-1', from, to), false)
    assert.equal(check.returned(id, `${id}@localhost`, to), false, 'a user may guess an id')
    assert.equal(check.returned(id, from, to), true)
  })
})
