import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import { type Element, xml } from '@spectrum/xmpp'
import { StanzaGate } from './stanza-gate.ts'

/** A gate whose clock and ownership the test turns; stanzas are told by their ids. */
function gateOf() {
  const state = { now: 0, isOurs: true, isShut: false }
  const taken: string[] = []
  const refused: string[] = []
  const gate = new StanzaGate({
    mayTake: () => state.isOurs,
    onStanza: ({ attrs }) => taken.push(String(attrs.id)),
    onRefused: ({ attrs }) => refused.push(String(attrs.id)),
    onShut: isShut => {
      state.isShut = isShut
    },
    now: () => state.now,
  })
  const take = (id: string) => gate.take(xml('message', { id }) as Element)
  return { gate, state, taken, refused, take }
}

suite('what is read after a standstill', () => {
  test('passes where nobody else can have the component', () => {
    const { gate, state, taken, take } = gateOf()
    using _ = gate
    take('a')
    state.now += 5_000
    take('b')
    assert.deepEqual([taken, state.isShut], [['a', 'b'], false])
  })

  test('waits until it is certain that the component is ours, and passes in order', () => {
    const { gate, state, taken, take } = gateOf()
    using _ = gate
    take('a')
    state.now += 20_000
    state.isOurs = false
    take('b')
    state.now += 100
    take('c')
    assert.deepEqual([taken, state.isShut, gate.isShut], [['a'], true, true])
    state.isOurs = true
    take('d')
    assert.deepEqual([taken, state.isShut], [['a', 'b', 'c', 'd'], false])
  })

  test('is refused when the component has become somebody else’s', () => {
    const { gate, state, taken, refused, take } = gateOf()
    using _ = gate
    state.now += 20_000
    state.isOurs = false
    take('a')
    take('b')
    gate.refuse()
    assert.deepEqual([taken, refused], [[], ['a', 'b']])
  })

  test('without a standstill nothing waits, though the lease is out: NATS may be away', () => {
    const { gate, state, taken, take } = gateOf()
    using _ = gate
    state.isOurs = false
    for (let second = 0; second < 30; second++) {
      state.now += 1_000
      take(String(second))
    }
    assert.equal(taken.length, 30)
  })
})
