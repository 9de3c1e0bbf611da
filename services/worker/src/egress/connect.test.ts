import assert from 'node:assert/strict'
import { once } from 'node:events'
import { type AddressInfo, createServer, type Server } from 'node:net'
import { after, before, test } from 'node:test'
import { NetworkError } from '@spectrum/network'
import { Egress } from './connect.ts'
import { EgressPolicy } from './policy.ts'

let server: Server
let port = 0
const never = new AbortController().signal
const strict = new EgressPolicy({ deny: [], allow: [], allowedPorts: [] })
const open = new EgressPolicy({ deny: [], allow: ['127.0.0.1'], allowedPorts: [] })

before(async () => {
  server = createServer(socket => socket.on('error', () => socket.destroy()).end('hello')).listen(0, '127.0.0.1')
  await once(server, 'listening')
  port = (server.address() as AddressInfo).port
})
after(() => server.close())

function egress(policy: EgressPolicy, addresses?: string[]) {
  const refused: string[] = []
  const resolve = addresses === undefined ? {} : { resolve: async () => addresses }
  return { refused, egress: new Egress({ policy, onRefused: reason => refused.push(reason), ...resolve }) }
}

const code = (expected: string) => (error: unknown) => error instanceof NetworkError && error.code === expected

test('what users name is judged by the address that the name has now', async () => {
  const { egress: gate, refused } = egress(strict, ['127.0.0.1', '10.0.0.1', '::ffff:127.0.0.1'])
  await assert.rejects(gate.connect({ host: 'innocent.example', port, namedBy: 'user' }, never), code('not-allowed'))
  assert.deepEqual(refused, ['private', 'private', 'private'])
})

test('numbers in disguise are judged by what the resolver makes of them', async () => {
  const { egress: gate } = egress(strict)
  for (const host of ['127.0.0.1', '[::1]', '::1', 'localhost', '127.1', '0x7f000001', '2130706433'])
    await assert.rejects(gate.connect({ host, port, namedBy: 'user' }, never), error => {
      const { code: actual } = error as NetworkError
      return actual === 'not-allowed' || actual === 'unreachable'
    })
})

test('only permitted addresses are tried, in turn', async () => {
  const { egress: gate, refused } = egress(open, ['10.0.0.1', '127.0.0.1'])
  const socket = await gate.connect({ host: 'two.example', port, namedBy: 'user' }, never)
  const [data] = await once(socket, 'data')
  assert.equal(String(data), 'hello')
  assert.deepEqual(refused, ['private'])
  socket.destroy()
})

test('what the operator names is connected to', async () => {
  const { egress: gate, refused } = egress(strict)
  const socket = await gate.connect({ host: 'localhost', port, namedBy: 'operator' }, never)
  assert.deepEqual(refused, [])
  socket.destroy()
})

test('failures say what happened', async () => {
  const { egress: gate } = egress(strict)
  const closed = createServer().listen(0, '127.0.0.1')
  await once(closed, 'listening')
  const { port: free } = closed.address() as AddressInfo
  closed.close()
  await once(closed, 'close')
  await assert.rejects(gate.connect({ host: '127.0.0.1', port: free, namedBy: 'operator' }, never), {
    code: 'unreachable',
    message: `127.0.0.1 port ${free}: connection refused.`,
  })
  const slow = new Egress({ policy: strict, onRefused() {}, resolve: () => new Promise(() => {}) })
  await assert.rejects(slow.connect({ host: 'slow.example', port: 1, namedBy: 'user', timeoutMs: 50 }, never), {
    code: 'unreachable',
    message: 'slow.example port 1: no answer in time.',
  })
  await assert.rejects(
    gate.connect({ host: '127.0.0.1', port: 70_000, namedBy: 'operator' }, never),
    code('bad-request'),
  )
})

test('an aborted attempt ends at once', async () => {
  const { egress: gate } = egress(strict)
  const controller = new AbortController()
  const attempt = gate.connect({ host: '127.0.0.1', port, namedBy: 'operator', tls: {} }, controller.signal)
  controller.abort()
  await assert.rejects(attempt)
})
