import assert from 'node:assert/strict'
import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Socket } from 'node:net'
import { test } from 'node:test'
import type { NetworkSocket } from '@spectrum/network'
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
    guardWrites(socket, { mayWrite: () => mayWrite, mayKeepAlive: () => false })
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

/** A guarded socket, its peer, and what the peer reads. */
async function guarded() {
  const server = createServer()
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const socket: NetworkSocket = connect((server.address() as AddressInfo).port, '127.0.0.1')
  const [peer] = (await once(server, 'connection')) as [Socket]
  const chunks: string[] = []
  peer.setEncoding('utf8').on('data', (text: string | Buffer) => chunks.push(String(text)))
  const may = { write: true, keepAlive: false }
  guardWrites(socket, { mayWrite: () => may.write, mayKeepAlive: () => may.keepAlive })
  const close = () => {
    socket.destroy()
    peer.destroy()
    server.close()
  }
  const reads = async (text: string) => {
    const deadline = AbortSignal.timeout(10_000)
    while (chunks.join('') !== text) {
      deadline.throwIfAborted()
      await new Promise(resolve => setTimeout(resolve, 5))
      assert.ok(text.startsWith(chunks.join('')), `read: ${chunks.join('')}`)
    }
  }
  return { socket, may, reads, close }
}

test('what keeps the connection alive goes past what is held back, and only while that is allowed', async () => {
  const { socket, may, reads, close } = await guarded()
  try {
    may.write = false
    may.keepAlive = true
    socket.write('one\n')
    socket.write('two\n')
    socket.writeKeepAlive?.(Buffer.from('PONG 1\n'))
    socket.writeKeepAlive?.(Buffer.from('PONG 2\n'))
    await reads('PONG 1\nPONG 2\n')

    may.keepAlive = false
    socket.writeKeepAlive?.(Buffer.from('PONG 3\n'))
    may.keepAlive = true
    socket.writeKeepAlive?.(Buffer.from('PONG 4\n'))
    await reads('PONG 1\nPONG 2\nPONG 4\n')

    may.write = true
    await reads('PONG 1\nPONG 2\nPONG 4\none\ntwo\nPONG 3\n')
  } finally {
    close()
  }
})

test('whatever the order of writes and permissions, no write is cut into and ordinary ones keep their order', async () => {
  const { socket, may, reads, close } = await guarded()
  try {
    const long = 'x'.repeat(300_000)
    const written: Promise<unknown>[] = []
    const write = (text: string) => written.push(new Promise(resolve => socket.write(text, resolve)))
    // Larger than the system takes at once: the next lines come while it is being written.
    write(`${long}\n`)
    may.write = false
    may.keepAlive = true
    write('after\n')
    socket.writeKeepAlive?.(Buffer.from('PONG\n'))
    await reads(`${long}\nPONG\n`)
    may.write = true
    await Promise.all(written)
    await reads(`${long}\nPONG\nafter\n`)
  } finally {
    close()
  }
})
