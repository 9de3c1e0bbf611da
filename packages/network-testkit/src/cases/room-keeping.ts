import assert from 'node:assert/strict'
import type { RoomId, RoomListing, Rooms } from '@spectrum/network'
import type { Case, Offer } from '../stage.ts'
import { until } from '../until.ts'
import { isNetworkError } from './signing-in.ts'

const has =
  (...handlers: readonly (keyof Rooms)[]) =>
  ({ session, peerHasSession }: Offer) =>
    peerHasSession && handlers.every(handler => session.rooms?.[handler] !== undefined)

const numbered = (word: string) => Array.from({ length: 30 }, (_, index) => `${word} ${index + 1}`)

/** Invitations, lists of rooms, and rooms that are made, set up and taken down. */
export const roomKeeping: readonly Case[] = [
  {
    name: 'an invitation arrives',
    covers: ['Rooms.invite'],
    needs: has('invite'),
    async run(stage) {
      const room = await stage.enter(stage.newRoom())
      const [{ session }, peer] = [await stage.me(), await stage.peerLogin()]
      await session.features.rooms?.invite?.(room, stage.peerUser(await stage.peer()), 'come to the ball')
      const { reason } = await peer.host.event('room-invitation', event => event.room === room)
      if (reason !== undefined) assert.equal(reason, 'come to the ball')
      await stage.leave(room)
    },
  },
  {
    name: 'an invitation that is declined is told to those who wait',
    covers: ['Rooms.declineInvitation'],
    needs: has('invite', 'declineInvitation'),
    async run(stage) {
      const room = await stage.enter(stage.newRoom())
      const [{ session, host }, peer] = [await stage.me(), await stage.peerLogin()]
      await session.features.rooms?.invite?.(room, stage.peerUser(await stage.peer()))
      await peer.host.event('room-invitation', event => event.room === room)
      await (await stage.peerRooms()).declineInvitation?.(room, 'not dressed for it')
      await host.event('room-notice', event => event.room === room && event.text.includes('not dressed for it'))
      await stage.leave(room)
    },
  },
  {
    name: 'what is said while the user is away is told after the next join, in order, once, and with its time',
    covers: ['Rooms.fillsGaps'],
    needs: ({ session }) => session.rooms?.fillsGaps !== undefined,
    async run(stage) {
      const both = await stage.roomWithPeer()
      const peer = await stage.peer()
      const before = await stage.me()
      await peer.sayIn(both.name, 'before the gap')
      const last = await before.host.event('message', event => event.text === 'before the gap')
      // A session has the capability where any server of the network has it; it tells for each room whether this one does.
      if ((await stage.rooms()).fillsGaps?.(both.room) !== true) return stage.leaveWithPeer(both)
      const at = last.saidAt ?? last.at
      assert.ok(at !== undefined, 'no line tells when it was said, so nothing can be asked for after it')
      await stage.signOut()
      const missed = numbered('in the gap')
      for (const text of missed) await peer.sayIn(both.name, text)
      const { host, account } = await stage.me()
      const after = { at, ...(last.id === undefined ? {} : { id: last.id }) }
      await (await stage.rooms()).join({ room: both.room, nick: account.username, isReturn: true, history: { after } })
      await host.event('room-ready', event => event.room === both.room)
      await peer.sayIn(both.name, 'after the gap')
      await host.event('message', event => event.text === 'after the gap')
      const heard = host.events.flatMap(event => (event.type === 'message' ? [event] : []))
      assert.deepEqual(
        heard.map(({ text }) => text),
        [...missed, 'after the gap'],
      )
      assert.ok(heard.slice(0, missed.length).every(line => line.at !== undefined))
      await stage.leaveWithPeer(both)
    },
  },
  {
    name: 'the list of rooms has the one that somebody is in, page by page',
    covers: ['Rooms.list'],
    needs: has('list'),
    async run(stage) {
      const both = await stage.roomWithPeer()
      const other = await stage.enter(stage.newRoom())
      const rooms = await stage.rooms()
      const listed = async (pattern?: string) => {
        const found: RoomListing[] = []
        let after: string | undefined
        do {
          const page = await rooms.list?.({
            max: 1,
            ...(pattern === undefined ? {} : { pattern }),
            ...(after === undefined ? {} : { after }),
          })
          assert.ok(page !== undefined && page.rooms.length <= 1, 'a page is longer than was asked for')
          found.push(...page.rooms)
          after = page.next
        } while (after !== undefined)
        return found
      }
      const all = await listed()
      const ids = all.map(({ room }) => room)
      assert.ok(ids.includes(both.room) && ids.includes(other), ids.join(' '))
      assert.equal(new Set(ids).size, ids.length, 'a room was listed twice')
      const ours = all.find(({ room }) => room === both.room)
      if (ours?.occupants !== undefined) assert.equal(ours.occupants, [...rooms.occupants(both.room)].length)
      const matching = (await listed(both.name)).map(({ room }) => room)
      assert.ok(matching.includes(both.room))
      assert.ok(!matching.includes(other), 'listed what does not match')
      assert.deepEqual(await listed('no-room-of-that-name'), [])
      await stage.leave(other)
      await stage.leaveWithPeer(both)
    },
  },
  {
    name: 'bookmarks have no room twice',
    covers: ['Rooms.bookmarks'],
    needs: has('bookmarks'),
    async run(stage) {
      const room = await stage.enter(stage.newRoom())
      const listed = (await (await stage.rooms()).bookmarks?.())?.map(each => each.room) ?? []
      assert.equal(new Set(listed).size, listed.length)
      await stage.leave(room)
    },
  },
  {
    name: 'a room is created, and those who shall be members are asked in',
    covers: ['Rooms.create'],
    needs: has('create'),
    async run(stage) {
      const name = stage.newRoom()
      const [{ host }, peer] = [await stage.me(), await stage.peerLogin()]
      const room = await (await stage.rooms()).create?.(name, [stage.peerUser(await stage.peer())])
      assert.ok(room)
      await host.event('room-ready', event => event.room === room)
      // A network may ask, or put them in at once.
      await until(
        () =>
          peer.host.events.some(
            event => (event.type === 'room-invitation' || event.type === 'room-joined') && event.room === room,
          ),
        () => `the peer to be asked in; there are:\n${peer.host.describe()}`,
      )
      await stage.leave(room)
    },
  },
  {
    name: 'a room is taken down by its owner, and by nobody else',
    covers: ['Rooms.destroy'],
    needs: has('destroy'),
    async run(stage) {
      const { room } = await stage.roomWithPeer()
      const [{ host, session }, peer] = [await stage.me(), await stage.peerLogin()]
      const isIt = (event: { room: RoomId }) => event.room === room
      await assert.rejects(async () => (await stage.peerRooms()).destroy?.(room, 'out of spite'), isNetworkError)
      assert.ok([...(session.features.rooms?.occupants(room) ?? [])].length >= 2, 'gone all the same')
      await session.features.rooms?.destroy?.(room, 'the ball is over')
      await host.event('room-left', isIt)
      await peer.host.event('room-left', isIt)
      assert.deepEqual([...(session.features.rooms?.occupants(room) ?? [])], [])
    },
  },
  {
    name: 'what the owner sets up is read back and told to all; nobody else sets up anything',
    covers: ['Rooms.configuration.read', 'Rooms.configuration.write'],
    needs: has('configuration'),
    async run(stage) {
      const both = await stage.roomWithPeer()
      const { room } = both
      const { configuration } = await stage.rooms()
      const fields = (await configuration?.read(room))?.fields ?? []
      const field = fields.find(({ type }) => type === 'text')?.name
      assert.ok(configuration && field, 'a room has some text to set')
      const read = async () => (await configuration.read(room)).fields.find(({ name }) => name === field)?.value
      await configuration.write(room, { [field]: 'The ball' })
      assert.equal(await read(), 'The ball')
      await (await stage.peerLogin()).host.event('room-facts', event => event.room === room)
      const theirs = (await stage.peerRooms()).configuration
      await assert.rejects(async () => theirs?.write(room, { [field]: 'The brawl' }), isNetworkError)
      assert.equal(await read(), 'The ball')
      await stage.leaveWithPeer(both)
    },
  },
  {
    name: 'a room with a password lets in who has it; an invitation brings it along',
    covers: ['Rooms.invite', 'Rooms.join'],
    needs: has('configuration', 'invite'),
    async run(stage) {
      const room = await stage.enter(stage.newRoom())
      const [rooms, peer, theirs] = [await stage.rooms(), await stage.peerLogin(), await stage.peerRooms()]
      const secret = (await rooms.configuration?.read(room))?.fields.find(({ type }) => type === 'secret')?.name
      if (secret !== undefined) {
        await rooms.configuration?.write(room, { [secret]: 'open-sesame' })
        const { nick } = await stage.peer()
        await theirs.join({ room, nick, password: 'open-barley' })
        assert.equal((await peer.host.event('room-left', event => event.room === room)).why.kind, 'refused')
        await rooms.invite?.(room, stage.peerUser(await stage.peer()))
        const { password } = await peer.host.event('room-invitation', event => event.room === room)
        await theirs.join({ room, nick, ...(password !== undefined && { password }) })
        await peer.host.event('room-ready', event => event.room === room)
        await theirs.leave(room)
      }
      await stage.leave(room)
    },
  },
]
