import assert from 'node:assert/strict'
import { once } from 'node:events'
import { type AddressInfo, connect, createServer } from 'node:net'
import { test } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import { waitUntil } from '@spectrum/stack'
import { openPath } from './severable-path.ts'

test('on a way that is cut nothing passes and nobody is told; when it is healed all arrives', async context => {
  const server = createServer(socket => socket.pipe(socket)).listen(0, '127.0.0.1')
  await once(server, 'listening')
  context.after(() => server.close())
  await using path = await openPath((server.address() as AddressInfo).port)
  context.diagnostic(`cut by ${path.by}`)
  const socket = connect(path.port, path.host)
  let [heard, hasEnded] = ['', false]
  socket.setEncoding('utf8').on('data', text => {
    heard += text
  })
  socket.on('close', () => {
    hasEnded = true
  })
  socket.write('one')
  await waitUntil(() => heard === 'one')
  await path.cut()
  socket.write('two')
  await delay(1_000)
  assert.equal(heard, 'one')
  assert.equal(hasEnded, false)
  await path.heal()
  await waitUntil(() => heard === 'onetwo', { deadlineMs: 30_000 })
  socket.destroy()
})
