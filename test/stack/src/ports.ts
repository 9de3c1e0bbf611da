import { randomInt } from 'node:crypto'
import { connect, createServer } from 'node:net'

const given = new Set<number>()

/**
 * A TCP port on loopback that nobody listens on. Taken at random from below the range that the kernel gives to
 * outgoing connections, so that several test processes at once do not get the same one, and never given twice by
 * this process.
 */
export async function freePort(): Promise<number> {
  for (;;) {
    const port = randomInt(12_000, 32_000)
    if (given.has(port) || !(await isFree(port))) continue
    given.add(port)
    return port
  }
}

/** True when this port of loopback can be listened on. */
export function isFree(port: number): Promise<boolean> {
  return new Promise(resolve => {
    const server = createServer()
    server.once('error', () => resolve(false))
    server.listen({ port, host: '127.0.0.1', exclusive: true }, () => server.close(() => resolve(true)))
  })
}

/** True when somebody accepts a connection at this port of loopback. */
export function isListening(port: number, host = '127.0.0.1'): Promise<boolean> {
  return new Promise(resolve => {
    const socket = connect({ port, host })
    const answer = (value: boolean) => {
      socket.destroy()
      resolve(value)
    }
    socket.once('connect', () => answer(true))
    socket.once('error', () => answer(false))
  })
}
