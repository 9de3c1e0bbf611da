import assert from 'node:assert/strict'
import { afterEach, describe, type TestContext, test } from 'node:test'
import { ConfirmedOutput } from './confirmed-output.ts'

const opened = new Set<ConfirmedOutput>()

/** A server as the output sees it: what was written, and returning its barriers. */
function harness(maxStanzaBytes = 2 * 1024 * 1024) {
  let written = ''
  const abandoned: string[] = []
  const told: string[] = []
  const discarded: string[] = []
  const unconfirmed: number[] = []
  const socket = { isDrained: true }
  const clock = { now: 0 }
  const output = new ConfirmedOutput({
    from: 'gw/1',
    to: 'gw',
    maxStanzaBytes,
    onDiscarded: (reason, stanzas) => discarded.push(`${stanzas} ${reason}`),
    onUnconfirmed: stanzas => unconfirmed.push(stanzas),
    write: xml => {
      written += xml
    },
    isDrained: () => socket.isDrained,
    abandon: reason => abandoned.push(reason),
    onUnconfirmable: () => told.push('unconfirmable'),
    now: () => clock.now,
  })
  opened.add(output)
  const confirmed: string[] = []
  const poison: string[] = []
  return {
    output,
    clock,
    told,
    discarded,
    unconfirmed,
    socket,
    abandoned,
    confirmed,
    poison,
    send: (name: string) =>
      output.send({
        stanzas: [`<${name}/>`],
        onConfirmed: () => confirmed.push(name),
        onPoison: () => poison.push(name),
      }),
    /** Whom the barriers that were written since the last {@link take} are from. */
    senders: () => [...written.matchAll(/ from="([^"]+)"/g)].map(match => match[1]),
    /** What was written since the last call: names of stanzas, and barriers by id. */
    take: () => {
      const names = [...written.matchAll(/<(?:iq type="\w+" id="([^"]+)"|(\w+)\/>)/g)].map(
        match => match[1] ?? match[2],
      )
      written = ''
      return names.filter(name => name !== undefined)
    },
  }
}
/** Lets time pass, a second at a time. */
const secondsOf = (t: TestContext, clock: { now: number }) => (seconds: number) => {
  for (let second = 0; second < seconds; second++) {
    clock.now += 1_000
    t.mock.timers.tick(1_000)
  }
}
const turn = () => new Promise(resolve => setImmediate(resolve))
const barrierTime = () => new Promise(resolve => setTimeout(resolve, 30))

describe('confirmed output', () => {
  // Also after a failure: a stream left open would keep its timers.
  afterEach(() => {
    for (const output of opened) output.lost()
    opened.clear()
  })

  test('a stream that ends says how many stanzas were written and not confirmed', async () => {
    const { output, send, take, unconfirmed } = harness()
    output.opened()
    send('a')
    await turn()
    take()
    await barrierTime()
    const [barrier = ''] = take()
    const isReturned = output.returned(barrier)
    send('b')
    send('c')
    await turn()
    output.lost()
    assert.ok(isReturned)
    assert.deepEqual(unconfirmed, [2])
  })

  test('one turn is one write, with a barrier soon after', async () => {
    const { output, send, take, confirmed } = harness()
    output.opened()
    send('a')
    send('b')
    await turn()
    assert.deepEqual(take(), ['a', 'b'])
    await barrierTime()
    const [barrier = ''] = take()
    assert.deepEqual(confirmed, [])
    assert.ok(output.returned(barrier))
    assert.deepEqual(confirmed, ['a', 'b'])
    output.lost()
  })

  test('a barrier of an earlier stream confirms nothing', async () => {
    const { output, send, take, confirmed } = harness()
    output.opened()
    send('a')
    await turn()
    await barrierTime()
    const [, barrier = ''] = take()
    output.lost()
    output.opened()
    await turn()
    assert.ok(output.returned(barrier))
    assert.deepEqual(confirmed, [])
    assert.deepEqual(take(), ['a'])
    output.lost()
  })

  test('what a stream begins with is written on it; only what waited before is given back', async () => {
    const { output, take } = harness()
    const givenBack: string[] = []
    const send = (name: string) => output.send({ stanzas: [`<${name}/>`], onReopened: () => givenBack.push(name) })
    send('before')
    output.opened(() => send('first'))
    await turn()
    assert.deepEqual([take(), givenBack], [['first'], ['before']])
  })

  test('200 stanzas are one barrier’s worth', async () => {
    const { output, send, take } = harness()
    output.opened()
    for (let n = 0; n < 450; n++) send('m')
    await turn()
    assert.equal(take().filter(name => name.startsWith('barrier')).length, 2)
    output.lost()
  })

  test('the item that kills streams is found; the others are sent once more, in order', async () => {
    const { output, send, take, confirmed, poison, discarded } = harness()
    for (const name of ['a', 'killer', 'c']) send(name)
    for (let death = 0; death < 2; death++) {
      output.opened()
      await turn()
      assert.deepEqual(take(), ['a', 'killer', 'c'])
      output.lost()
    }
    output.opened()
    await turn()
    const [first, barrier = ''] = take()
    assert.equal(first, 'a')
    output.returned(barrier)
    await turn()
    assert.equal(take()[0], 'killer')
    output.lost()
    assert.deepEqual([poison, discarded], [['killer'], ['1 poison']])
    output.opened()
    send('d')
    await turn()
    const [third, next = ''] = take()
    assert.equal(third, 'c')
    output.returned(next)
    await turn()
    await barrierTime()
    const [fourth, last = ''] = take()
    assert.equal(fourth, 'd')
    output.returned(last)
    assert.deepEqual(confirmed, ['a', 'c', 'd'])
    assert.equal(output.backlog, 0)
    output.lost()
  })

  test('stanzas that the server would close the stream for are never written, and are counted', async () => {
    const { output, take, confirmed, discarded } = harness(20)
    output.opened()
    const large = `<m id="${'&apos;'.repeat(4)}"/>`
    assert.equal(output.send({ stanzas: ['<a/>', large, '<b/>'], onConfirmed: () => confirmed.push('some') }), 2)
    assert.equal(output.send({ stanzas: [large, large], onConfirmed: () => confirmed.push('none') }), 0)
    assert.equal(output.send({ stanzas: ['<é/>'.padEnd(19), '<é/>'.padEnd(20)] }), 1)
    await turn()
    assert.deepEqual(
      [take(), discarded],
      [
        ['a', 'b'],
        ['1 too-large', '2 too-large', '1 too-large'],
      ],
    )
    assert.deepEqual(confirmed, ['none'])
    assert.equal(output.backlog, 2)
    output.lost()
  })

  test('congestion is told, and its end', async () => {
    const { output, take } = harness()
    let reliefs = 0
    output.onRelief(() => reliefs++)
    output.opened()
    for (let n = 0; n < 20; n++) output.send({ stanzas: [`<m/>${' '.repeat(1024 * 1024)}`] })
    assert.equal(output.isCongested, true)
    while (output.backlog > 0) {
      await turn()
      await barrierTime()
      for (const name of take()) if (name.startsWith('barrier')) output.returned(name)
    }
    assert.equal(output.isCongested, false)
    assert.equal(reliefs, 1)
    output.lost()
  })

  test('a server that talks and never returns a barrier is told apart from a dead one', async t => {
    t.mock.timers.enable({ apis: ['setInterval'] })
    const { output, clock, send, take, confirmed, told, socket, abandoned } = harness()
    const pass = secondsOf(t, clock)
    output.opened()
    send('a')
    await turn()
    await barrierTime()
    const [, barrier = ''] = take()
    pass(6)
    assert.deepEqual(told, [], 'it has said nothing yet')
    assert.equal(output.isConfirming, true)
    output.heard()
    t.mock.timers.tick(1_000)
    assert.deepEqual([told, confirmed], [['unconfirmable'], ['a']])
    assert.equal(output.isConfirming, false)

    take()
    socket.isDrained = false
    send('b')
    await turn()
    assert.deepEqual([take(), confirmed], [['b'], ['a']])
    output.drained()
    assert.deepEqual(confirmed, ['a', 'b'])

    // It returns them after all: from now on they are asked for again.
    output.returned(barrier)
    send('c')
    await turn()
    await barrierTime()
    assert.deepEqual([take().length, confirmed], [2, ['a', 'b']])
    assert.deepEqual(abandoned, [])
    output.lost()
  })

  test('silence alone is a dead stream, also before any barrier returned', async t => {
    t.mock.timers.enable({ apis: ['setInterval'] })
    const { output, clock, send, abandoned, confirmed } = harness()
    const pass = secondsOf(t, clock)
    output.opened()
    send('a')
    await turn()
    await barrierTime()
    pass(16)
    assert.deepEqual([abandoned.length, confirmed], [1, []])
    output.lost()
  })

  test('a server that talks is given a minute for a barrier, one that falls silent 15 s from then', async t => {
    t.mock.timers.enable({ apis: ['setInterval'] })
    const { output, clock, send, take, abandoned } = harness()
    const pass = secondsOf(t, clock)
    output.opened()
    send('a')
    await turn()
    await barrierTime()
    const [, barrier = ''] = take()
    output.returned(barrier)
    send('b')
    await turn()
    await barrierTime()
    for (let second = 0; second < 40; second++) {
      pass(1)
      output.heard()
    }
    assert.deepEqual(abandoned, [], 'it is slow')
    pass(14)
    assert.deepEqual(abandoned, [])
    pass(2)
    assert.ok(abandoned.length > 0, 'it is silent')
    const before = abandoned.length
    output.heard()
    pass(1)
    assert.equal(abandoned.length, before)
    for (let second = 0; second < 6; second++) {
      pass(1)
      output.heard()
    }
    assert.ok(abandoned.length > before, 'a minute is over')
    output.lost()
  })

  test('a barrier that is late is followed by some in other names, and what comes then keeps to the name that returns', async t => {
    t.mock.timers.enable({ apis: ['setInterval'] })
    const { output, clock, send, senders, take, confirmed, abandoned } = harness()
    const pass = secondsOf(t, clock)
    const sends = async (name: string) => {
      send(name)
      await turn()
      await barrierTime()
    }
    output.opened()
    await sends('a')
    assert.deepEqual(senders(), ['gw/1'])
    output.returned(take().at(-1) ?? '')
    // From here on the server drops what is in that name, while more and more is said.
    for (let second = 1; second <= 6; second++) {
      await sends(`b${second}`)
      output.heard()
      pass(1)
    }
    const others = ['barrier-1@gw', 'barrier-2@gw', 'barrier-3@gw']
    assert.deepEqual(senders(), [...Array(6).fill('gw/1'), ...others])
    output.returned(take().at(-2) ?? '')
    assert.deepEqual(confirmed, ['a', 'b1', 'b2', 'b3', 'b4', 'b5', 'b6'])
    await sends('c')
    assert.deepEqual(senders(), ['barrier-2@gw'])
    output.returned(take().at(-1) ?? '')
    // What never returns of the other names is waited for no longer.
    output.heard()
    pass(20)
    assert.deepEqual([senders(), confirmed.at(-1), abandoned], [[], 'c', []])
  })

  test('before any barrier has returned several names are tried each second', async t => {
    t.mock.timers.enable({ apis: ['setInterval'] })
    const { output, clock, send, senders, take, confirmed, told } = harness()
    const pass = secondsOf(t, clock)
    output.opened()
    for (let second = 1; second <= 4; second++) {
      send('a')
      await turn()
      await barrierTime()
      output.heard()
      pass(1)
    }
    const names = new Set(senders())
    assert.deepEqual([...names], ['gw/1', ...[1, 2, 3, 4, 5, 6].map(name => `barrier-${name}@gw`)].slice(0, names.size))
    assert.ok(names.size >= 4, [...names].join())
    output.returned(take().at(-1) ?? '')
    output.heard()
    pass(10)
    assert.deepEqual([confirmed.length, told, output.isConfirming], [4, [], true])
  })

  test('what an owner withdraws before it was written is not, and counts no more', async () => {
    const { output, take, confirmed } = harness()
    const [mine, theirs] = [{}, {}]
    const withdrawn: string[] = []
    const send = (name: string, owner: object) =>
      output.send({
        stanzas: [`<${name}/>`],
        owner,
        onConfirmed: () => confirmed.push(name),
        onWithdrawn: () => withdrawn.push(name),
      })
    output.opened()
    send('a', mine)
    await turn()
    send('b', mine)
    send('c', theirs)
    output.withdraw(mine)
    await turn()
    await barrierTime()
    const written = take()
    assert.deepEqual(
      written.filter(name => !name.startsWith('barrier')),
      ['a', 'c'],
    )
    for (const name of written) if (name.startsWith('barrier')) output.returned(name)
    assert.deepEqual([confirmed, withdrawn, output.backlog], [['a', 'c'], ['b'], 0])
    output.lost()
  })

  test('after a standstill of our own the server gets its time: what it said is still unread', async t => {
    t.mock.timers.enable({ apis: ['setInterval'] })
    const { output, clock, send, take, abandoned, confirmed } = harness()
    const pass = secondsOf(t, clock)
    output.opened()
    send('a')
    await turn()
    await barrierTime()
    const [, barrier = ''] = take()
    clock.now += 20_000
    t.mock.timers.tick(1_000)
    assert.deepEqual(abandoned, [])
    output.returned(barrier)
    pass(10)
    assert.deepEqual([abandoned, confirmed], [[], ['a']])
    output.lost()
  })
})
