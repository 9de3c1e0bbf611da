import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { OwnersWay, StandbysWay } from './way-to-server.ts'

const second = 1_000

describe('the way of the owner to the XMPP server', () => {
  /** An owner with a stream, and a clock that stands at 0. */
  const begin = () => {
    const component = {
      isOnline: true,
      isSilent: false,
      isContested: false,
      tries: 0,
      hurry: () => ++component.tries > 0,
    }
    const said: boolean[] = []
    let time = 0
    const way = new OwnersWay({ component, onStranded: isStranded => said.push(isStranded), now: () => time })
    const at = (seconds: number) => {
      time = seconds * second
      way.look()
      return way
    }
    return { component, said, way, at }
  }

  test('says that it is stranded after 3 s without a stream, and when it is no more', () => {
    using owner = use(begin())
    owner.component.isOnline = false
    owner.at(1)
    owner.at(3.9)
    assert.deepEqual(owner.said, [])
    owner.at(4)
    owner.at(5)
    assert.deepEqual(owner.said, [true])
    owner.component.isOnline = true
    owner.at(6)
    assert.deepEqual(owner.said, [true, false])
  })

  test('offered another’s way, it tries at once, and gives way when that has not helped for 3 s', () => {
    using owner = use(begin())
    owner.component.isOnline = false
    owner.at(0)
    assert.equal(owner.at(2).offered(), false)
    assert.equal(owner.component.tries, 0, 'not stranded yet')
    assert.equal(owner.at(10).offered(), false)
    assert.equal(owner.component.tries, 1)
    assert.equal(owner.at(12.9).offered(), false)
    assert.equal(owner.at(13).offered(), true)
  })

  test('a stream between begins the patience anew', () => {
    using owner = use(begin())
    owner.component.isOnline = false
    owner.at(0)
    owner.at(4).offered()
    owner.component.isOnline = true
    assert.equal(owner.at(5).offered(), false)
    owner.component.isOnline = false
    owner.at(6)
    assert.equal(owner.at(9).offered(), false)
    assert.equal(owner.at(12).offered(), true)
  })

  test('a silent stream has 6 s, and 3 s when it has been given up meanwhile', () => {
    using owner = use(begin())
    owner.component.isSilent = true
    owner.at(0)
    owner.at(4).offered()
    assert.equal(owner.at(9.9).offered(), false)
    assert.equal(owner.at(10).offered(), true)
    owner.component.isOnline = false
    assert.equal(owner.at(11).offered(), false)
    assert.equal(owner.at(14).offered(), true)
  })

  test('one that is refused as another has the domain is not stranded: others would be refused too', () => {
    using owner = use(begin())
    Object.assign(owner.component, { isOnline: false, isContested: true })
    owner.at(0)
    assert.equal(owner.at(60).offered(), false)
    assert.deepEqual(owner.said, [])
    owner.component.isContested = false
    owner.at(61)
    owner.at(64)
    assert.deepEqual(owner.said, [true])
  })

  test('knows whether there was a stream', () => {
    using never = use({
      way: new OwnersWay({
        component: { isOnline: false, isSilent: false, isContested: false, hurry: () => true },
        onStranded: () => undefined,
      }),
    })
    assert.equal(never.way.hadStream, false)
    using once = use(begin())
    once.component.isOnline = false
    assert.equal(once.at(1).hadStream, true)
  })
})

describe('the way of a standby to the XMPP server', () => {
  const begin = () => {
    const probes: { answeredAt: number | undefined; hasFailed: boolean; isDisposed: boolean }[] = []
    let time = 0
    const way = new StandbysWay({
      probe: () => {
        const probe = {
          answeredAt: undefined as number | undefined,
          hasFailed: false,
          isDisposed: false,
          [Symbol.dispose]: () => {
            probe.isDisposed = true
          },
        }
        probes.push(probe)
        return probe
      },
      now: () => time,
    })
    const at = (seconds: number) => {
      time = seconds * second
      return way
    }
    return { probes, way, at }
  }
  /** Looks, has the probe answered, and looks again. */
  const reaches = ({ probes, at }: ReturnType<typeof begin>, seconds: number) => {
    at(seconds).look()
    const probe = probes.at(-1)
    if (probe !== undefined) probe.answeredAt = seconds * second
    return at(seconds + 1).look()
  }

  test('is one while probes are answered', () => {
    using standby = use(begin())
    assert.equal(standby.at(0).look(), false)
    assert.equal(reaches(standby, 0), true)
    assert.equal(standby.probes.length, 2)
    assert.deepEqual(
      standby.probes.map(({ isDisposed }) => isDisposed),
      [true, false],
    )
    Object.assign(standby.probes[1] ?? {}, { hasFailed: true })
    assert.equal(standby.at(2).look(), false)
  })

  test('an answer counts for 5 s; a probe that hangs is made anew', () => {
    using standby = use(begin())
    assert.equal(reaches(standby, 0), true)
    assert.equal(standby.at(4.9).look(), true)
    assert.equal(standby.at(5).look(), false)
    assert.equal(standby.probes.length, 2)
    standby.at(6).look()
    assert.equal(standby.probes.length, 3)
  })

  test('who had the component and never a stream waits 10 s, then twice as long each time, at most 5 min', () => {
    using standby = use(begin())
    let time = 0
    for (const pause of [10, 20, 40, 80, 160, 300, 300]) {
      standby.at(time).tenureEnded(false)
      const { length } = standby.probes
      assert.equal(standby.at(time + pause - 1).look(), false)
      assert.equal(standby.probes.length, length, 'it does not even ask')
      time += pause
      assert.equal(reaches(standby, time), true, `after ${pause} s`)
    }
    standby.at(time).tenureEnded(true)
    standby.at(time).tenureEnded(false)
    assert.equal(reaches(standby, time + 10), true, 'a stream has made it forget')
  })

  test('who had a stream may offer itself at once', () => {
    using standby = use(begin())
    standby.way.tenureEnded(true)
    assert.equal(reaches(standby, 0), true)
  })

  test('asks no more when that is over', () => {
    const { way, probes } = begin()
    way.look()
    way[Symbol.dispose]()
    assert.equal(probes[0]?.isDisposed, true)
  })
})

/** Disposes of the way with the test. */
function use<Given extends { way: Disposable }>(given: Given): Given & Disposable {
  return Object.assign(given, { [Symbol.dispose]: () => given.way[Symbol.dispose]() })
}
