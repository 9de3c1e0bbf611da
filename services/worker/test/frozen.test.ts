import assert from 'node:assert/strict'
import { once } from 'node:events'
import { type AddressInfo, createServer, type Socket } from 'node:net'
import { test } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import { waitUntil } from '@spectrum/stack'
import { Neighbours } from './neighbours.ts'
import { WorkerProcess } from './worker.ts'

test('a worker that only waits answers PING; one that was frozen past its lease says nothing before it is confirmed', async () => {
  const received: string[] = []
  let client: Socket | undefined
  const server = createServer(socket => {
    client = socket
    socket.on('error', () => socket.destroy())
    socket.setEncoding('utf8').on('data', (chunk: string | Buffer) => {
      for (const line of String(chunk).split('\r\n').filter(Boolean)) {
        received.push(line)
        const [, nick] = /^NICK (.*)/.exec(line) ?? []
        if (nick) socket.write(`:irc.example 001 ${nick} :Welcome\r\n:irc.example 376 ${nick} :End\r\n`)
        if (line.startsWith('QUIT')) socket.end()
      }
    })
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  await using neighbours = await Neighbours.start()
  await using worker = new WorkerProcess(neighbours.nats.url, [`--service.irc_server=127.0.0.1:${port}`], 'irc')
  try {
    await neighbours.addBackend(0)
    const user = 'romeo@example.org'
    await neighbours.register(user, 'romeo')
    neighbours.presence(user, 'orchard')
    await neighbours.hears(user, /orchard: gateway 0/)
    const answered = (token: string) => received.some(line => line.startsWith('PONG') && line.includes(token))
    const describe = () => `${received.join('\n')}\n${worker.output}`

    await neighbours.nats.stop()
    // Past the lease of 12 s, and running all the time.
    await delay(14_000)
    client?.write('PING :waiting\r\n')
    await waitUntil(() => answered('waiting'), { deadlineMs: 5_000, describe })

    worker.child.kill('SIGSTOP')
    client?.write('PING :frozen\r\n')
    await delay(7_000)
    const before = received.length
    worker.child.kill('SIGCONT')
    // Nothing may come for as long as nobody confirms it: this is the time that it is given to fail.
    await delay(4_000)
    assert.deepEqual(received.slice(before), [])

    await neighbours.nats.start()
    await waitUntil(() => answered('frozen'), { deadlineMs: 30_000, describe })
    assert.ok(!received.some(line => line.startsWith('QUIT')))
  } finally {
    await worker.kill('SIGKILL')
    server.close()
  }
})
