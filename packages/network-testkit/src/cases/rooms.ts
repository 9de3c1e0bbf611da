import assert from 'node:assert/strict'
import { failures, type NetworkEvent, type RoomId } from '@spectrum/network'
import type { Case } from '../stage.ts'

const isAbout = (room: RoomId) => (event: NetworkEvent) => 'room' in event && event.room === room

/** Rooms: coming, going, talking, and who is there. */
export const rooms: readonly Case[] = [
  {
    name: 'joining tells: joined, the occupants, ready, and the subject after that',
    covers: ['SessionFeatures.rooms', 'Rooms.join', 'Rooms.occupants', 'ChatFeatures.revision'],
    place: 'room',
    async run(stage) {
      const name = stage.newRoom()
      const peer = await stage.peer()
      await peer.join(name)
      const { host, session, account } = await stage.me()
      const room = await stage.enter(name)
      const story = host.events.filter(isAbout(room))
      const types = story.map(({ type }) => type)
      const ready = types.indexOf('room-ready')
      assert.equal(types[0], 'room-joined')
      assert.ok(!types.slice(0, ready).includes('room-subject'), types.join(' '))
      const present = story.flatMap(event =>
        event.type === 'occupant' && event.change.kind === 'present' ? event.occupant : [],
      )
      assert.ok(present.length >= 2, types.join(' '))
      assert.ok(
        types.lastIndexOf('occupant', ready) > 0 &&
          types.slice(1, ready).every(type => type === 'occupant' || type === 'room-notice' || type === 'room-facts'),
        types.join(' '),
      )
      assert.deepEqual(
        present.filter(({ self }) => self === true).map(({ nick }) => nick),
        [account.username],
      )
      assert.ok(present.some(({ nick }) => nick === peer.nick))
      const remembered = [...(session.features.rooms?.occupants(room) ?? [])].map(({ nick }) => nick)
      assert.deepEqual(remembered.toSorted(), present.map(({ nick }) => nick).toSorted())
      await stage.leave(room)
      await peer.leave(name)
    },
  },
  {
    name: 'joining again is harmless: the same is told again, and nobody else notices',
    async run(stage) {
      const name = stage.newRoom()
      const peer = await stage.peer()
      await peer.join(name)
      const room = await stage.enter(name)
      await stage.enter(name)
      const { host, account } = await stage.me()
      await peer.sayIn(name, 'after the second join')
      await host.event('message', ({ text }) => text === 'after the second join')
      const own = host.events.filter(
        event => isAbout(room)(event) && event.type === 'occupant' && event.occupant.nick === account.username,
      )
      assert.ok(own.every(event => event.type === 'occupant' && event.change.kind === 'present'))
      const seen = peer.login?.host.events.filter(
        event => event.type === 'occupant' && event.room === room && event.occupant.nick === account.username,
      )
      if (seen !== undefined) assert.equal(seen.length, 1, JSON.stringify(seen))
      await stage.leave(room)
      await peer.leave(name)
    },
  },
  {
    name: 'others come and go, and the memory follows',
    covers: ['Rooms.leave', 'Rooms.occupants', 'Rooms.subject'],
    async run(stage) {
      const name = stage.newRoom()
      const [{ host, session }, peer] = [await stage.me(), await stage.peer()]
      const room = await stage.enter(name)
      const nicks = () => [...(session.features.rooms?.occupants(room) ?? [])].map(({ nick }) => nick)
      await peer.join(name)
      await host.event(
        'occupant',
        event => event.room === room && event.change.kind === 'joined' && event.occupant.nick === peer.nick,
      )
      assert.ok(nicks().includes(peer.nick))
      await peer.leave(name)
      await host.event(
        'occupant',
        event => event.room === room && event.change.kind === 'left' && event.occupant.nick === peer.nick,
      )
      assert.ok(!nicks().includes(peer.nick))
      await stage.leave(room)
      assert.deepEqual(nicks(), [])
      assert.equal(session.features.rooms?.subject(room), undefined)
    },
  },
  {
    name: 'lines in a room arrive in order, both ways, and the sender gets none of them back',
    covers: ['ChatFeatures.text'],
    place: 'room',
    async run(stage) {
      const name = stage.newRoom()
      const [{ host }, peer] = [await stage.me(), await stage.peer()]
      await peer.join(name)
      const room = await stage.enter(name)
      const numbers = Array.from({ length: 100 }, (_, index) => index + 1)
      for (const number of numbers) {
        await stage.send({ kind: 'room', room }, `mine ${number}`)
        await peer.sayIn(name, `theirs ${number}`)
      }
      await stage.peerHears('mine 100', name)
      const last = await host.event('message', ({ text }) => text === 'theirs 100')
      assert.deepEqual(last.chat, { kind: 'room', room })
      assert.equal(last.from.nick, peer.nick)
      const heard = (who: string, texts: readonly string[]) => texts.filter(text => text.startsWith(`${who} `))
      assert.deepEqual(
        heard('theirs', textsIn(host.events, room)),
        numbers.map(number => `theirs ${number}`),
      )
      assert.deepEqual(
        heard(
          'mine',
          peer.heard().flatMap(line => (line.room === name ? line.text : [])),
        ),
        numbers.map(number => `mine ${number}`),
      )
      const echoes = host.events.filter(
        event => event.type === 'message' && event.text.startsWith('mine ') && event.key === undefined,
      )
      assert.deepEqual(echoes, [], 'the user’s own lines came back without the key that tells them')
      await stage.leave(room)
      await peer.leave(name)
    },
  },
  {
    name: 'a private message to an occupant, and one back',
    covers: ['ChatFeatures.text', 'ChatFeatures.revision'],
    place: 'occupant',
    async run(stage) {
      const name = stage.newRoom()
      const [{ host, account }, peer] = [await stage.me(), await stage.peer()]
      await peer.join(name)
      const room = await stage.enter(name)
      await stage.send({ kind: 'occupant', room, nick: peer.nick }, 'between you and me')
      await stage.peerHears('between you and me')
      await peer.tell(account.username, 'and nobody else')
      await host.event('message', ({ text, chat }) => text === 'and nobody else' && chat.kind !== 'room')
      await stage.leave(room)
      await peer.leave(name)
    },
  },
  {
    name: 'a room that lets nobody in answers with the refusal',
    needs: ({ options }) => options.closedRoom !== undefined,
    async run(stage) {
      const { host, account } = await stage.me()
      const room = stage.connector.parseRoom(stage.options.closedRoom ?? '')
      await (await stage.rooms()).join({ room, nick: account.username })
      const { why } = await host.event('room-left', event => event.room === room)
      assert.ok(why.kind === 'refused' && Object.hasOwn(failures, why.code), JSON.stringify(why))
    },
  },
  {
    covers: ['Rooms.setSubject', 'Rooms.subject'],
    needs: ({ session }) => session.rooms?.setSubject !== undefined,
    name: 'a subject that is set is told to all, and remembered',
    async run(stage) {
      const both = await stage.roomWithPeer()
      const { room } = both
      const [{ host, session }, { login }] = [await stage.me(), await stage.peer()]
      await session.features.rooms?.setSubject?.(room, 'Two households')
      const isIt = (event: { room: RoomId; subject: string }) =>
        event.room === room && event.subject === 'Two households'
      await host.event('room-subject', isIt)
      await login?.host.event('room-subject', isIt)
      assert.equal(session.features.rooms?.subject(room)?.text, 'Two households')
      await stage.leaveWithPeer(both)
    },
  },
  {
    covers: ['Rooms.changeNick'],
    needs: ({ session }) => session.rooms?.changeNick !== undefined,
    name: 'a nick is changed, and changed back; everybody is told by which it was',
    async run(stage) {
      const name = stage.newRoom()
      const peer = await stage.peer()
      await peer.join(name)
      const room = await stage.enter(name)
      const { host, session, account } = await stage.me()
      const old = account.username
      const renamed = (from: string, to: string) =>
        host.event(
          'occupant',
          ({ occupant, change }) => occupant.nick === from && change.kind === 'renamed' && change.to === to,
        )
      await session.features.rooms?.changeNick?.(room, `${old}2`)
      const { occupant } = await renamed(old, `${old}2`)
      assert.equal(occupant.self, true)
      assert.ok(
        [...(session.features.rooms?.occupants(room) ?? [])].some(
          ({ nick, self }) => nick === `${old}2` && self === true,
        ),
      )
      await peer.login?.host.event(
        'occupant',
        ({ occupant, change }) => occupant.nick === old && change.kind === 'renamed',
      )
      await session.features.rooms?.changeNick?.(room, old)
      await renamed(`${old}2`, old)
      await stage.leave(room)
      await peer.leave(name)
    },
  },
  {
    name: 'methods of a room that the session is not in fail as a NetworkError or say nothing',
    async run(stage) {
      const room = stage.connector.parseRoom(stage.newRoom())
      const { session } = await stage.me()
      assert.deepEqual([...(await stage.rooms()).occupants(room)], [])
      await assert.rejects(
        async () => session.send({ key: stage.key(), chat: { kind: 'room', room }, text: 'to nobody' }),
        { name: 'NetworkError' },
      )
    },
  },
]

function textsIn(events: readonly NetworkEvent[], room: RoomId): string[] {
  return events.flatMap(event =>
    event.type === 'message' && event.chat.kind === 'room' && event.chat.room === room ? event.text : [],
  )
}
