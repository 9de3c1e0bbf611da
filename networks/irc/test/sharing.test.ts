import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import type { NetworkEvent, RoomId } from '@spectrum/network'
import { IrcClient, startNgircd, waitUntil } from '@spectrum/stack'
import { ChannelTables } from '../src/channel-table.ts'
import { ircConfig } from '../src/config.ts'
import { Names } from '../src/ids.ts'
import { Flusher } from '../src/outbox.ts'
import { IrcSession } from '../src/session.ts'
import type { Shared } from '../src/shared.ts'
import { TargetRing } from '../src/target-ring.ts'
import { parseTargets } from '../src/targets.ts'
import { Ticker } from '../src/ticker.ts'
import { loginOf, RecordingHost } from './recording-host.ts'

/** What a client that believes every event would show of a room. */
function shown(events: readonly NetworkEvent[]): string[] {
  const nicks = new Map<string, string>()
  for (const event of events) {
    if (event.type === 'room-left' || event.type === 'room-joined') nicks.clear()
    if (event.type !== 'occupant') continue
    const { occupant, change } = event
    if (change.kind === 'present' || change.kind === 'joined') {
      assert.ok(!nicks.has(occupant.nick), `${occupant.nick} came twice`)
      nicks.set(occupant.nick, occupant.role)
      continue
    }
    assert.ok(nicks.has(occupant.nick), `${occupant.nick} was never there: ${JSON.stringify(event)}`)
    if (change.kind === 'changed') nicks.set(occupant.nick, occupant.role)
    else nicks.delete(occupant.nick)
    if (change.kind === 'renamed') nicks.set(change.to, occupant.role)
  }
  return [...nicks].map(([nick, role]) => `${role} ${nick}`).sort()
}

describe('many sessions in one channel', { timeout: 120_000 }, () => {
  test('each shows what it was told, and one table holds it all', async () => {
    await using server = await startNgircd()
    const tables = new ChannelTables()
    const ticker = new Ticker()
    ticker.always(() => tables.merge())
    const shared: Shared = {
      config: ircConfig.parse({ server: [`127.0.0.1:${server.port}`], floodRate: 0 }),
      names: new Names(false),
      targets: new TargetRing(parseTargets([`127.0.0.1:${server.port}`])),
      tables,
      flusher: new Flusher(),
      ticker,
      count: () => {},
    }
    const USERS = 60
    const stop = new AbortController()
    const users: { host: RecordingHost; session: IrcSession; run: Promise<void> }[] = []
    while (users.length < USERS) {
      const host = new RecordingHost()
      const session = new IrcSession(shared, loginOf(`user${users.length}`), host)
      const run = session.run(stop.signal)
      // A failure below is the one to report.
      run.catch(() => {})
      users.push({ host, session, run })
      // This server accepts ten connections at a time.
      if (users.length % 5 === 0) await Promise.all(users.map(user => user.host.online()))
    }
    const room = '#crowd' as RoomId
    for (const { session } of users) session.features.rooms?.join({ room, nick: 'x' })
    const lists = () =>
      users.map(({ host, session }) => ({
        shown: shown(host.events),
        known: [...(session.features.rooms?.occupants(room) ?? [])],
      }))
    const agree = (size: number) =>
      waitUntil(
        () =>
          lists().every(
            each =>
              each.shown.length === size &&
              each.known.length === size &&
              !each.known.some(one => one.nick.startsWith('guest')),
          ),
        {
          deadlineMs: 30_000,
          describe: () => JSON.stringify(lists().map(each => [each.shown.length, each.known.length])),
        },
      )
    await agree(USERS)
    ticker.tick()
    await waitUntil(() => {
      ticker.tick()
      return tables.counts.tables === 1
    })
    assert.deepEqual(tables.counts, { channels: 1, tables: 1, members: USERS })

    const guests = await Promise.all(
      Array.from({ length: 20 }, (_, i) => IrcClient.connect({ port: server.port, nick: `guest${i}` })),
    )
    await Promise.all(guests.map(guest => guest.join('#crowd')))
    for (const [i, guest] of guests.entries()) guest.send(`NICK visitor${i}`)
    const op = users.find(({ session }) =>
      [...(session.features.rooms?.occupants(room) ?? [])].some(each => each.self && each.role === 'moderator'),
    )
    assert.ok(op)
    await agree(USERS + 20)
    await op.session.features.rooms?.setRole?.(room, 'visitor3', 'moderator')
    for (const guest of guests.slice(0, 10)) guest.send('QUIT :split')
    await agree(USERS + 10)
    const [first] = lists()
    for (const each of lists()) {
      assert.deepEqual(each.shown, first?.shown)
      assert.deepEqual(each.known.map(occupant => `${occupant.role} ${occupant.nick}`).sort(), first?.shown)
    }
    assert.deepEqual(tables.counts, { channels: 1, tables: 1, members: USERS + 10 })
    for (const guest of guests) await guest[Symbol.asyncDispose]()
    stop.abort('done')
    await Promise.all(users.map(user => user.run))
    assert.deepEqual(tables.counts, { channels: 0, tables: 0, members: 0 })
  })
})
