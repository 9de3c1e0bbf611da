import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import type { TakeLoginTurnsReply, TakeLoginTurnsRequest } from '@spectrum/messages'
import { LoginTurns, type TurnResult } from './login-turns.ts'

const quiet = { debug() {}, info() {}, warn() {}, error() {} }

/** Turns with a leader that grants what `answer` says. */
function turnsWith(answer: (request: TakeLoginTurnsRequest) => TakeLoginTurnsReply | Promise<TakeLoginTurnsReply>) {
  const requests: TakeLoginTurnsRequest[] = []
  const results: Partial<Record<TurnResult, number>> = {}
  const reports: string[] = []
  const turns = new LoginTurns({
    process: 'w1',
    clock: { now: () => Date.now(), monotonic: () => performance.now() },
    log: quiet,
    ask: async request => {
      requests.push(request)
      return answer(request)
    },
    report: async ({ host }) => reports.push(host),
    onTurns: (result, count) => {
      results[result] = (results[result] ?? 0) + count
    },
    onAskFailed() {},
    onThrottled() {},
  })
  return { turns, requests, results, reports }
}

const granting =
  (count: number, validMs = 2_000) =>
  ({ wishes }: TakeLoginTurnsRequest): TakeLoginTurnsReply => ({
    grants: wishes.map(({ host, source }) => ({ host, source, turns: count, retryAfterMs: 20, validMs })),
  })

const never = new AbortController().signal

suite('turns to log in', () => {
  test('the most recently active is first; of those who were active at the same time, the first comer', async () => {
    const { turns, requests } = turnsWith(granting(1))
    using _ = turns
    const order: string[] = []
    const login = (name: string, lastActiveMs: number) =>
      turns.admit('irc.example.org', lastActiveMs, never).then(() => order.push(name))
    await Promise.all([login('old', 1), login('b', 5), login('new', 9), login('c', 5)])
    assert.deepEqual(order, ['new', 'b', 'c', 'old'])
    assert.deepEqual(requests[0]?.wishes[0]?.lastActiveMs, [9, 5, 5, 1])
    assert.equal(requests[0]?.process, 'w1')
    assert.equal(turns.waiting, 0)
  })

  test('a host has one name, however it is written; several are asked for together', async () => {
    const { turns, requests } = turnsWith(granting(5))
    using _ = turns
    await Promise.all(['IRC.example.org', 'irc.example.org.', '[2001:DB8::1]'].map(host => turns.admit(host, 1, never)))
    assert.deepEqual(
      requests[0]?.wishes.map(({ host, waiting }) => [host, waiting]),
      [
        ['irc.example.org', 2],
        ['2001:db8::1', 1],
      ],
    )
  })

  test('while no router answers logins wait, and go on when one does', async () => {
    let failures = 3
    const { turns } = turnsWith(request => {
      if (failures-- > 0) throw new Error('no responders')
      return granting(1)(request)
    })
    using _ = turns
    await turns.admit('irc.example.org', 1, never)
    assert.equal(failures, -1)
  })

  test('who gives up rejects with the reason and takes nobody’s turn; the wish is withdrawn', async () => {
    const { turns, requests } = turnsWith(granting(0))
    using _ = turns
    const abort = new AbortController()
    const waiting = turns.admit('irc.example.org', 1, abort.signal)
    while (requests.length === 0) await new Promise(resolve => setTimeout(resolve, 5))
    abort.abort(new Error('over'))
    await assert.rejects(waiting, { message: 'over' })
    await assert.rejects(turns.admit('irc.example.org', 1, abort.signal), { message: 'over' })
    while (requests.at(-1)?.wishes[0]?.waiting !== 0) await new Promise(resolve => setTimeout(resolve, 5))
    assert.equal(turns.waiting, 0)
  })

  test('what a host has not answered is told with each wish, and that it was is told soon', async () => {
    const { turns, requests } = turnsWith(granting(1))
    using _ = turns
    const first = await turns.admit('irc.example.org', 1, never)
    const second = await turns.admit('irc.example.org', 1, never)
    const told = () => requests.map(({ wishes }) => wishes[0]?.unanswered)
    assert.deepEqual(told(), [0, 1])
    first.answered()
    first.answered()
    while (told().at(-1) !== 1 || told().length < 3) await new Promise(resolve => setTimeout(resolve, 5))
    second.answered()
    while (told().at(-1) !== 0) await new Promise(resolve => setTimeout(resolve, 5))
  })

  test('turns that come too late are not used', async () => {
    let asked = 0
    const { turns, results } = turnsWith(async request => {
      asked++
      if (asked === 1) await new Promise(resolve => setTimeout(resolve, 60))
      return granting(1, 50)(request)
    })
    using _ = turns
    await turns.admit('irc.example.org', 1, never)
    assert.equal(results.late, 1)
    assert.equal(results.used, 1)
  })

  test('a host that throttles is reported once a second at most', () => {
    const { turns, reports } = turnsWith(granting(1))
    using _ = turns
    for (let i = 0; i < 100; i++) turns.throttled('irc.example.org')
    turns.throttled('other.example.org')
    assert.deepEqual(reports, ['irc.example.org', 'other.example.org'])
  })
})
