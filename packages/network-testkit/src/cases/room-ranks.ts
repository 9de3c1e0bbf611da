import assert from 'node:assert/strict'
import type { Affiliation, Occupant, Rooms } from '@spectrum/network'
import type { Case, Offer } from '../stage.ts'
import { isNetworkError } from './signing-in.ts'

const has =
  (...handlers: readonly (keyof Rooms)[]) =>
  ({ session, peerHasSession }: Offer) =>
    peerHasSession && handlers.every(handler => session.rooms?.[handler] !== undefined)

/** Who may do what to whom in a room: the tested session has come first, the peer after it. */
export const roomRanks: readonly Case[] = [
  {
    name: 'the first in a room kicks another: both are told who did it',
    covers: ['Rooms.kick'],
    needs: has('kick'),
    async run(stage) {
      const { room } = await stage.roomWithPeer()
      const [{ host, session, account }, peer] = [await stage.me(), await stage.peer()]
      await session.features.rooms?.kick?.(room, peer.nick, 'for a test')
      const { change } = await host.event('occupant', event => event.room === room && event.change.kind === 'kicked')
      assert.ok(change.kind === 'kicked' && change.actor === account.username, JSON.stringify(change))
      const { why } = await (await stage.peerLogin()).host.event('room-left', event => event.room === room)
      assert.ok(why.kind === 'kicked' && why.actor === account.username, JSON.stringify(why))
      await stage.leave(room)
    },
  },
  {
    name: 'a role is given and seen',
    covers: ['Rooms.setRole'],
    needs: has('setRole'),
    async run(stage) {
      const both = await stage.roomWithPeer()
      const [{ host, session }, peer] = [await stage.me(), await stage.peerLogin()]
      const { nick } = await stage.peer()
      await session.features.rooms?.setRole?.(both.room, nick, 'moderator')
      const isIt = ({ occupant }: { occupant: Occupant }) => occupant.nick === nick && occupant.role === 'moderator'
      await host.event('occupant', event => event.change.kind === 'changed' && event.room === both.room && isIt(event))
      await peer.host.event('occupant', event => event.room === both.room && isIt(event))
      await stage.leaveWithPeer(both)
    },
  },
  {
    name: 'one without rank neither kicks nor gives roles nor affiliations',
    covers: ['Rooms.kick', 'Rooms.setRole', 'Rooms.setAffiliation'],
    needs: has('kick', 'setRole', 'setAffiliation'),
    async run(stage) {
      const both = await stage.roomWithPeer()
      const { room } = both
      const [{ host, session, account }, theirs] = [await stage.me(), await stage.peerRooms()]
      const me = { nick: account.username }
      await assert.rejects(async () => theirs.kick?.(room, me.nick, 'for a test'), isNetworkError)
      await assert.rejects(async () => theirs.setRole?.(room, me.nick, 'participant'), isNetworkError)
      for (const who of [me, { user: await stage.myUser() }])
        await assert.rejects(async () => theirs.setAffiliation?.(room, who, 'none'), isNetworkError)
      const own = [...(session.features.rooms?.occupants(room) ?? [])].find(({ self }) => self === true)
      assert.equal(own?.role, 'moderator')
      assert.ok(!host.events.some(event => event.type === 'room-left' && event.room === room))
      await stage.leaveWithPeer(both)
    },
  },
  {
    name: 'a visitor sets no subject and is not heard',
    covers: ['Rooms.setSubject', 'Rooms.setRole'],
    needs: has('setRole', 'setSubject'),
    async run(stage) {
      const both = await stage.roomWithPeer()
      const { room, name } = both
      const [{ host, session }, theirs] = [await stage.me(), await stage.peerRooms()]
      const { nick } = await stage.peer()
      await session.features.rooms?.setRole?.(room, nick, 'visitor')
      await stage.send({ kind: 'room', room }, 'visitors, listen')
      await stage.peerHears('visitors, listen', name)
      const occupant = [...(session.features.rooms?.occupants(room) ?? [])].find(each => each.nick === nick)
      // A network may know visitors in moderated rooms only.
      if (occupant?.role === 'visitor') {
        await assert.rejects(async () => theirs.setSubject?.(room, 'a visitor was here'), isNetworkError)
        await assert.rejects(async () => (await stage.peer()).sayIn(name, 'a visitor speaks'), isNetworkError)
        const isTheirs = (text: string) => text.startsWith('a visitor')
        assert.ok(!host.events.some(event => event.type === 'room-subject' && isTheirs(event.subject)))
        assert.ok(!host.events.some(event => event.type === 'message' && isTheirs(event.text)))
      }
      await stage.leaveWithPeer(both)
    },
  },
  {
    name: 'an affiliation is given and taken, and seen',
    covers: ['Rooms.setAffiliation'],
    needs: has('setAffiliation'),
    async run(stage) {
      const both = await stage.roomWithPeer()
      const { room } = both
      const [{ host, session }, { nick }] = [await stage.me(), await stage.peer()]
      for (const affiliation of ['member', 'none'] as const) {
        await session.features.rooms?.setAffiliation?.(room, { nick }, affiliation)
        await host.event(
          'occupant',
          ({ occupant, change, ...event }) =>
            event.room === room &&
            occupant.nick === nick &&
            change.kind === 'changed' &&
            occupant.affiliation === affiliation,
        )
      }
      await stage.leaveWithPeer(both)
    },
  },
  {
    name: 'who is banned is out, and does not come back',
    covers: ['Rooms.setAffiliation'],
    needs: has('setAffiliation'),
    async run(stage) {
      const { room, name } = await stage.roomWithPeer()
      const [{ session }, peer] = [await stage.me(), await stage.peerLogin()]
      const { nick } = await stage.peer()
      await session.features.rooms?.setAffiliation?.(room, { nick }, 'outcast', 'for a test')
      const { why } = await peer.host.event('room-left', event => event.room === room)
      assert.ok(why.kind === 'banned' || why.kind === 'kicked', JSON.stringify(why))
      await (await stage.peerRooms()).join({ room: stage.connector.parseRoom(name), nick })
      const refusal = await peer.host.event('room-left', event => event.room === room)
      assert.equal(refusal.why.kind, 'refused')
      await stage.leave(room)
    },
  },
  {
    name: 'each list of affiliations has those who hold it, and nobody else',
    covers: ['Rooms.affiliated'],
    needs: has('affiliated', 'setAffiliation'),
    async run(stage) {
      const both = await stage.roomWithPeer()
      const { rooms } = (await stage.me()).session.features
      const [mine, peer] = [await stage.myUser(), await stage.peer()]
      const listed = async (affiliation: Affiliation) =>
        (await rooms?.affiliated?.(both.room, affiliation))?.map(({ user }) => user)
      await rooms?.setAffiliation?.(both.room, { nick: peer.nick }, 'member')
      assert.deepEqual(await listed('member'), [stage.peerUser(peer)])
      assert.deepEqual(await listed('owner'), [mine])
      assert.deepEqual(await listed('outcast'), [])
      await stage.leaveWithPeer(both)
    },
  },
]
