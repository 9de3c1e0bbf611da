import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import type { UserId } from '@spectrum/network'
import fc from 'fast-check'
import { ChannelTables, type View } from './channel-table.ts'
import { Member } from './member.ts'

const member = (nick: string, modes = ''): Member => new Member(nick, nick, nick as UserId, modes)
const list = (...members: Member[]) => new Map(members.map(each => [each.key, each]))
const nicks = (view: View): string =>
  [...view.members()]
    .map(each => `${each.modes}${each.nick}`)
    .sort()
    .join(' ')

describe('ChannelTables', () => {
  test('two who were given the same list share it, and each sees what it was told', () => {
    const tables = new ChannelTables()
    const a = tables.expect('irc', '#x').attach(list(member('a')), 'a')
    const waiting = tables.expect('irc', '#x')
    a.add(member('b'))
    a.add(member('c'))
    const b = waiting.attach(list(member('a'), member('b')), 'b')
    assert.deepEqual(tables.counts, { channels: 1, tables: 1, members: 3 })
    assert.equal(nicks(a), 'a b c')
    assert.equal(nicks(b), 'a b')
    assert.equal(b.get('c'), undefined)
    assert.equal(b.add(member('c')), a.get('c'))
    a.change('c', { key: 'd', nick: 'd', user: 'd' as UserId })
    a.remove('a')
    assert.equal(nicks(b), 'a b c')
    assert.equal(b.change('c', { key: 'd', nick: 'd', user: 'd' as UserId }), a.get('d'))
    assert.equal(b.remove('a')?.nick, 'a')
    assert.equal(nicks(b), 'b d')
    assert.deepEqual(tables.counts, { channels: 1, tables: 1, members: 2 })
    a.close()
    b.close()
    assert.deepEqual(tables.counts, { channels: 0, tables: 0, members: 0 })
  })

  test('the newcomer may be first to know of its join', () => {
    const tables = new ChannelTables()
    const a = tables.expect('irc', '#x').attach(list(member('a', 'o')), 'a')
    const b = tables.expect('irc', '#x').attach(list(member('a', 'o'), member('b')), 'b')
    assert.equal(nicks(a), 'oa')
    a.add(member('b'))
    assert.equal(nicks(a), nicks(b))
    assert.equal(tables.counts.tables, 1)
  })

  test('who sees something else gets a table of its own, and comes back when they agree', () => {
    const tables = new ChannelTables()
    const a = tables.expect('irc', '#x').attach(list(member('a')), 'a')
    const b = tables.expect('irc', '#x').attach(list(member('a'), member('b')), 'b')
    a.add(member('b'))
    a.add(member('hidden'))
    b.add(member('seen'))
    assert.equal(tables.counts.tables, 2)
    assert.equal(nicks(a), 'a b hidden')
    assert.equal(nicks(b), 'a b seen')
    a.remove('hidden')
    b.remove('seen')
    tables.merge()
    assert.equal(tables.counts.tables, 1)
    a.add(member('z'))
    assert.equal(nicks(b), 'a b')
  })

  test('the log is bounded however far one session lags behind', () => {
    const tables = new ChannelTables()
    const a = tables.expect('irc', '#x').attach(list(member('a')), 'a')
    const b = tables.expect('irc', '#x').attach(list(member('a'), member('b')), 'b')
    for (let i = 0; i < 20_000; i++) {
      b.add(member(`n${i}`))
      b.remove(`n${i}`)
    }
    assert.equal(nicks(b), 'a b')
    assert.equal(nicks(a), 'a')
  })

  test('whatever the order in which sessions read, each sees exactly its own past', () => {
    const change = fc.record({
      kind: fc.constantFrom('add', 'remove', 'mode', 'rename'),
      who: fc.nat({ max: 5 }),
      to: fc.nat({ max: 5 }),
    })
    fc.assert(
      fc.property(
        fc.array(change, { maxLength: 40 }),
        fc.array(fc.nat({ max: 2 }), { maxLength: 150 }),
        fc.boolean(),
        (changes, turns, isOdd) => {
          const tables = new ChannelTables()
          const start = list(member('s0'), member('s1'), member('s2'))
          const views = [0, 1, 2].map(i => tables.expect('irc', '#x').attach(start, `s${i}`))
          const plain = views.map(() => new Map([...start].map(([key, each]) => [key, each.modes])))
          const at = [0, 0, 0]
          for (const turn of turns) {
            const next = changes[at[turn] ?? 0]
            const view = views[turn]
            const own = plain[turn]
            if (next === undefined || view === undefined || own === undefined) continue
            at[turn] = (at[turn] ?? 0) + 1
            // One session that is shown other people than the rest.
            if (isOdd && turn === 2 && next.who === 3) continue
            const key = `n${next.who}`
            const to = `n${next.to}`
            if (next.kind === 'add') {
              if (!own.has(key)) own.set(key, '')
              if (view.get(key) === undefined) view.add(member(key))
            } else if (next.kind === 'remove') {
              assert.equal(view.remove(key)?.nick, own.has(key) ? key : undefined)
              own.delete(key)
            } else if (next.kind === 'mode') {
              view.change(key, { modes: 'o' })
              if (own.has(key)) own.set(key, 'o')
            } else if (own.has(key) && !own.has(to)) {
              view.change(key, { key: to, nick: to, user: to as UserId })
              own.set(to, own.get(key) ?? '')
              own.delete(key)
            }
            for (const [i, each] of views.entries()) {
              const expected = [...(plain[i] ?? [])]
                .map(([nick, modes]) => `${modes}${nick}`)
                .sort()
                .join(' ')
              assert.equal(nicks(each), expected)
              assert.equal(each.size, plain[i]?.size)
            }
            if (turn === 0) tables.merge()
          }
          for (const view of views) view.close()
          assert.deepEqual(tables.counts, { channels: 0, tables: 0, members: 0 })
        },
      ),
      { numRuns: 500 },
    )
  })
})
