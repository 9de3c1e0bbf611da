import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import fc from 'fast-check'
import { LoginGovernor, type LoginGrant } from './login-governor.ts'

const host = 'irc.example.org'

/** When logins happened, and that they kept to the allowance in every window. */
class Witness {
  readonly at: number[] = []

  assertWithin(rate: number, burst: number): void {
    const at = this.at.toSorted((a, b) => a - b)
    for (let from = 0; from < at.length; from++) {
      for (let to = from; to < at.length; to++) {
        const seconds = ((at[to] as number) - (at[from] as number)) / 1_000
        const allowed = Math.max(2, rate / 2, burst) + rate * seconds
        assert.ok(to - from + 1 <= allowed + 1e-6, `${to - from + 1} logins in ${seconds} s, allowed are ${allowed}`)
      }
    }
  }
}

/** A worker as it behaves towards the governor; frozen, it asks nothing and uses what it was granted late or not at all. */
class Worker {
  readonly waiting: number[]
  readonly name: string
  nextAskMs: number
  frozenUntilMs = 0
  /** Logins that the host has not answered. */
  unanswered = 0

  constructor(name: string, waiting: number[], nextAskMs: number) {
    this.name = name
    this.waiting = waiting.toSorted((a, b) => b - a)
    this.nextAskMs = nextAskMs
  }

  ask(governor: LoginGovernor): LoginGrant {
    const { waiting, unanswered } = this
    const wish = { host, source: '', lastActiveMs: waiting.slice(0, 64), waiting: waiting.length, unanswered }
    const [grant] = governor.take(this.name, [wish])
    assert.ok(grant !== undefined)
    return grant
  }
}

interface Run {
  readonly rate: number
  readonly burst: number
  readonly workers: readonly (readonly number[])[]
  /** Seconds at which something happens. */
  readonly leaderChanges: readonly number[]
  readonly throttlings: readonly number[]
  readonly freezes: readonly { readonly worker: number; readonly at: number; readonly seconds: number }[]
  readonly delays: readonly number[]
  /** The host answers nobody for a while, and then all at once. */
  readonly hangs: readonly { readonly at: number; readonly seconds: number }[]
}

/** Lets it happen on a clock of its own, in steps of 5 ms; gives up when not all are in after so long. */
function play(run: Run, limitMs: number): { witness: Witness; left: number; endMs: number; used: number[] } {
  let now = 0
  const begin = () => new LoginGovernor({ rate: run.rate, burst: run.burst, now: () => now })
  let governor = begin()
  const workers = run.workers.map((waiting, index) => new Worker(`w${index}`, [...waiting], index * 7))
  const uses: { atMs: number; latestMs: number; worker: Worker; turns: number }[] = []
  const witness = new Witness()
  const used: number[] = []
  const events = {
    leaders: run.leaderChanges.map(s => s * 1_000),
    throttlings: run.throttlings.map(s => s * 1_000),
    freezes: run.freezes.map(({ worker, at, seconds }) => ({ worker, atMs: at * 1_000, ms: seconds * 1_000 })),
  }
  const isHanging = () => run.hangs.some(({ at, seconds }) => now >= at * 1_000 && now < (at + seconds) * 1_000)
  let delays = 0
  const left = () => workers.reduce((sum, worker) => sum + worker.waiting.length, 0)
  for (; now < limitMs && left() > 0; now += 5) {
    if (events.leaders.some(at => at === now)) governor = begin()
    if (events.throttlings.some(at => at === now)) governor.throttled(host, '')
    for (const { worker, atMs, ms } of events.freezes) {
      const frozen = workers[worker % workers.length]
      if (atMs === now && frozen) frozen.frozenUntilMs = now + ms
    }
    if (!isHanging()) {
      for (const worker of workers) {
        for (; worker.unanswered > 0; worker.unanswered--) witness.at.push(now)
      }
    }
    for (const use of uses.splice(0)) {
      const isFrozen = use.worker.frozenUntilMs > now
      if (use.atMs > now || isFrozen) {
        uses.push(use)
        continue
      }
      // Too late: the worker does not use it.
      if (now >= use.latestMs) continue
      for (const lastActive of use.worker.waiting.splice(0, use.turns)) {
        if (isHanging()) use.worker.unanswered++
        else witness.at.push(now)
        used.push(lastActive)
      }
    }
    for (const worker of workers) {
      const isWaiting = worker.waiting.length > 0 && !uses.some(use => use.worker === worker)
      if (!isWaiting || worker.frozenUntilMs > now || worker.nextAskMs > now) continue
      const { turns, retryAfterMs, validMs } = worker.ask(governor)
      const delayMs = run.delays.length === 0 ? 0 : (run.delays[delays++ % run.delays.length] as number)
      uses.push({ atMs: now + delayMs, latestMs: now + validMs, worker, turns })
      worker.nextAskMs = now + Math.max(20, retryAfterMs)
    }
  }
  return { witness, left: left(), endMs: now, used }
}

const runs = fc.record({
  rate: fc.constantFrom(0.5, 2, 5, 20, 100),
  burst: fc.integer({ min: 2, max: 60 }),
  workers: fc.array(fc.array(fc.integer({ min: 0, max: 1_000 }), { maxLength: 25 }), { minLength: 1, maxLength: 4 }),
  leaderChanges: fc.array(fc.integer({ min: 1, max: 20 }), { maxLength: 3 }),
  throttlings: fc.array(fc.integer({ min: 0, max: 20 }), { maxLength: 3 }),
  freezes: fc.array(
    fc.record({
      worker: fc.integer({ min: 0, max: 3 }),
      at: fc.integer({ min: 0, max: 10 }),
      seconds: fc.integer({ min: 1, max: 8 }),
    }),
    { maxLength: 3 },
  ),
  delays: fc.array(fc.integer({ min: 0, max: 240 }), { maxLength: 5 }),
  hangs: fc.array(fc.record({ at: fc.integer({ min: 0, max: 20 }), seconds: fc.integer({ min: 1, max: 15 }) }), {
    maxLength: 2,
  }),
})

suite('the login governor', () => {
  test('never lets in more than allowed, and all get in, whatever happens', () => {
    fc.assert(
      fc.property(runs, run => {
        const { witness, left } = play(run, 2_400_000)
        assert.equal(left, 0, 'all get in')
        witness.assertWithin(run.rate, run.burst)
      }),
      { numRuns: 150 },
    )
  })

  test('a quiet host is used at its rate', () => {
    const users = Array.from({ length: 400 }, (_, index) => index)
    const run = { rate: 50, burst: 100, leaderChanges: [], throttlings: [], freezes: [], delays: [2], hangs: [] }
    const { endMs, left } = play({ ...run, workers: [users, users, users] }, 60_000)
    assert.equal(left, 0)
    assert.ok(endMs < 1_200 * (1_000 / 50) * 1.1, `${endMs} ms for 1,200 logins at 50/s`)
  })

  test('those most recently active are first, over all workers', () => {
    let now = 0
    const governor = new LoginGovernor({ rate: 10, burst: 20, now: () => now })
    const waiting = { old: [5, 4, 3, 2, 1], young: [100, 99, 98, 97, 96] }
    const wish = (lastActiveMs: readonly number[]) => ({ host, source: '', lastActiveMs, waiting: lastActiveMs.length })
    const ask = (who: keyof typeof waiting) => {
      const [grant] = governor.take(who, [wish(waiting[who])])
      return waiting[who].splice(0, grant?.turns ?? 0)
    }
    assert.deepEqual([ask('old'), ask('young')], [[], []])
    const order: number[] = []
    for (; now < 20_000 && waiting.old.length + waiting.young.length > 0; now += 50)
      order.push(...ask('old'), ...ask('young'))
    assert.deepEqual(order, [100, 99, 98, 97, 96, 5, 4, 3, 2, 1])
  })

  test('a worker that is silent loses its place after some seconds', () => {
    let now = 0
    const governor = new LoginGovernor({ rate: 1, burst: 4, now: () => now })
    governor.take('frozen', [{ host, source: '', lastActiveMs: Array.from({ length: 60 }, () => 1_000), waiting: 60 }])
    const mine = [{ host, source: '', lastActiveMs: [1], waiting: 1 }]
    now = 2_000
    assert.equal(governor.take('alive', mine)[0]?.turns, 0)
    now = 3_500
    assert.equal(governor.take('alive', mine)[0]?.turns, 1)
  })

  test('a throttling answer pauses, halves the rate at most once per interval, and the rate comes back step by step', () => {
    let now = 100_000
    const governor = new LoginGovernor({ rate: 16, burst: 32, now: () => now })
    now += 10_000
    governor.throttled(host, '')
    governor.throttled(host, '')
    assert.equal(governor.lowestRate, 8)
    const many = [{ host, source: '', lastActiveMs: Array.from({ length: 64 }, () => 1), waiting: 64 }]
    assert.equal(governor.take('w', many)[0]?.turns, 0)
    now += 4_900
    assert.equal(governor.take('w', many)[0]?.turns, 0)
    now += 1_100
    assert.equal(governor.take('w', many)[0]?.turns, 8)
    for (let i = 0; i < 60; i++) {
      now += 10_000
      governor.throttled(host, '')
    }
    assert.ok(Math.abs(governor.lowestRate - 1 / 30) < 1, String(governor.lowestRate))
    now += 10_000
    const early = governor.lowestRate
    now += 100_000
    assert.ok(governor.lowestRate > early && governor.lowestRate < 16)
    now += 200_000
    assert.equal(governor.lowestRate, 16)
  })

  test('hosts that users name do not fill its memory', () => {
    let now = 0
    let refused = 0
    const onRefused = () => void refused++
    const governor = new LoginGovernor({ rate: 100, burst: 200, now: () => now, maxHosts: 100, onRefused })
    for (let i = 0; i < 1_000; i++) {
      now += 100
      const name = `h${i}.example.org`
      governor.take('w', [{ host: name, source: '', lastActiveMs: [1], waiting: 1 }])
      // Answered.
      governor.take('w', [{ host: name, source: '', lastActiveMs: [], waiting: 0 }])
      assert.ok(governor.hosts <= 100)
    }
    assert.ok(refused < 100, `${refused} were refused although old ones could be forgotten`)
    governor.take('w', [{ host: 'x'.repeat(300), source: '', lastActiveMs: [1], waiting: 1 }])
    assert.ok(governor.hosts <= 100)
  })

  test('hosts may have allowances of their own', () => {
    let now = 0
    const hosts = new Map([[host, { rate: 1, burst: 4 }]])
    const governor = new LoginGovernor({ rate: 100, burst: 200, hosts, now: () => now })
    now = 60_000
    const wish = (name: string) => ({
      host: name,
      source: '',
      lastActiveMs: Array.from({ length: 64 }, () => 1),
      waiting: 64,
    })
    const grants = governor.take('w', [wish(host), wish('other.example.org')])
    assert.deepEqual(
      grants.map(({ turns }) => turns),
      [2, 64],
    )
  })
})
