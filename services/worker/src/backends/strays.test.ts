import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import type { Delivery } from '@spectrum/bus'
import { Command, type Placement, Placement_State, Show } from '@spectrum/messages'
import { Strays } from './strays.ts'

const here: Placement = { backend: 0, generation: 2, state: Placement_State.STATE_STARTED, movedFrom: undefined }

function presence(key: string): Delivery<Command> {
  const item = Command.create({
    key,
    user: 'romeo@verona.example',
    resource: 'balcony',
    generation: 1,
    command: { $case: 'setPresence', value: { show: Show.SHOW_UNSPECIFIED, status: '', priority: 0 } },
  })
  return { item, position: 0, from: 'frontend', finish: () => undefined }
}

/** Strays whose every step waits for the test. */
function stage() {
  const delivered: string[] = []
  const lookups: PromiseWithResolvers<Placement | undefined>[] = []
  const state: { closing: Promise<void> | undefined; session: number | undefined } = {
    closing: undefined,
    session: undefined,
  }
  const strays = new Strays({
    backend: 0,
    placementOf: () => {
      const lookup = Promise.withResolvers<Placement | undefined>()
      lookups.push(lookup)
      return lookup.promise
    },
    login: async () => here,
    forward: async () => undefined,
    deliver: ({ item }) => {
      if (state.session !== item.generation) return false
      delivered.push(item.key)
      return true
    },
    closing: () => state.closing,
    start: (_, { generation }) => {
      state.session = generation
    },
    isOver: () => false,
    evict: () => undefined,
    refuse: ({ item }, error) => delivered.push(`${item.key}: ${error.code}`),
    passedOn: ({ item }) => delivered.push(`${item.key}: forwarded`),
    ignore: ({ item }, reason) => delivered.push(`${item.key}: ${reason}`),
    isLost: () => false,
    onFailure: error => assert.fail(String(error)),
  })
  const turn = () => new Promise(resolve => setImmediate(resolve))
  return { strays, delivered, lookups, state, turn }
}

describe('strays', () => {
  test('one user’s are handed on in order, and later ones wait behind them', async () => {
    const { strays, delivered, lookups, turn } = stage()
    for (const key of ['a', 'b', 'c']) strays.offer(presence(key))
    await turn()
    assert.equal(lookups.length, 1)
    for (let index = 0; index < 3; index++) {
      lookups[index]?.resolve(here)
      await turn()
    }
    assert.deepEqual(delivered, ['a', 'b', 'c'])
    assert.equal(strays.size, 0)
  })

  test('what an ended session had not begun goes before what was being looked up', async () => {
    const { strays, delivered, lookups, turn } = stage()
    strays.offer(presence('late'))
    await turn()
    strays.offerFirst('romeo@verona.example', [presence('early'), presence('middle')])
    for (let index = 0; index < 6; index++) {
      lookups[index]?.resolve(here)
      await turn()
    }
    assert.deepEqual(delivered, ['early', 'middle', 'late'])
  })

  test('nothing is handed to a session that is ending', async () => {
    const { strays, delivered, lookups, state, turn } = stage()
    const end = Promise.withResolvers<void>()
    state.closing = end.promise
    state.session = 1
    strays.offer(presence('a'))
    await turn()
    assert.deepEqual([delivered, lookups.length], [[], 0])
    state.closing = undefined
    state.session = undefined
    end.resolve()
    await turn()
    lookups[0]?.resolve(here)
    await turn()
    assert.deepEqual(delivered, ['a'])
  })
})
