import assert from 'node:assert/strict'
import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Socket } from 'node:net'
import { test } from 'node:test'
import { guardWrites } from './write-guard.ts'

test('a socket whose owner may not act holds back what is written, then sends it in order', async () => {
  const server = createServer()
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const socket = connect((server.address() as AddressInfo).port, '127.0.0.1')
  const [peer] = (await once(server, 'connection')) as [Socket]
  try {
    const chunks: string[] = []
    const received = () => chunks.join('')
    let bell = Promise.withResolvers<void>()
    peer.setEncoding('utf8').on('data', (text: string | Buffer) => {
      chunks.push(String(text))
      bell.resolve()
    })
    let mayWrite = true
    guardWrites(socket, () => mayWrite)
    socket.write('one ')
    await bell.promise

    mayWrite = false
    bell = Promise.withResolvers()
    const written = new Promise(resolve => socket.write('two ', resolve))
    socket.cork()
    socket.write('three ')
    socket.write('four ')
    socket.uncork()
    // Something that is certain to arrive later than what had been let through.
    peer.write('echo?')
    await once(socket, 'data')
    peer.write('echo?')
    await once(socket, 'data')
    assert.equal(received(), 'one ')

    mayWrite = true
    await written
    const deadline = AbortSignal.timeout(10_000)
    while (received() !== 'one two three four ') {
      deadline.throwIfAborted()
      bell = Promise.withResolvers()
      if (received() !== 'one two three four ') await bell.promise
    }
  } finally {
    socket.destroy()
    peer.destroy()
    server.close()
  }
})
