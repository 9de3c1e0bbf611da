import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { RoomId } from '@spectrum/network'
import { waitUntil } from '@spectrum/stack'
import { contact, createConnector, GatewayUser } from './gateway-user.ts'
import { RawServer } from './raw-server.ts'

test('a user has so many servers at once and no more; a server without rooms makes way', async () => {
  await using one = await RawServer.start()
  await using two = await RawServer.start()
  await using three = await RawServer.start()
  const { connector, counts } = createConnector({ maxServersPerUser: 2 })
  const id = (server: RawServer) => connector.parseRoom(`#verona@127.0.0.1:${server.port}`)
  const user = new GatewayUser(connector, 'me')
  await user.host.online()
  await Promise.all([user.join(id(one)), user.join(id(two))])
  const join = (room: RoomId) => user.rooms.join({ room, nick: 'me' })
  assert.throws(() => join(id(three)), { code: 'rate-limited' })
  await assert.rejects(user.say(contact(connector.parseUser(`friar@127.0.0.1:${three.port}`)), 'quick'), {
    code: 'rate-limited',
  })
  assert.equal(three.sockets.length, 0)
  assert.equal(counts.get('too-many-servers'), 2)
  // The ones that are there go on.
  join(connector.parseRoom(`#mantua@127.0.0.1:${two.port}`))
  user.rooms.leave(id(one))
  await waitUntil(() => one.received.some(line => line.startsWith('PART #verona')), {
    describe: () => one.received.join('\n'),
  })
  one.say(':me!u@h PART #verona')
  await user.host.next('room-left', event => event.room === id(one))
  await user.join(id(three))
  await waitUntil(() => one.sockets.every(socket => socket.destroyed || socket.readableEnded), {
    describe: () => one.received.join('\n'),
  })
  await user.stop()
})
