import { createServer, type Server, type Socket } from 'node:net'

/** Hands every connection on to one that `open` makes, both ways. Not listening yet. Closing it ends them all. */
export function createRelay(open: () => Socket): Server {
  const sockets = new Set<Socket>()
  const pass = (from: Socket, to: Socket): void => {
    sockets.add(from)
    from.setNoDelay()
    from.pipe(to)
    from.on('error', () => to.destroy())
    from.on('close', () => {
      sockets.delete(from)
      to.destroySoon()
    })
  }
  const server = createServer({ allowHalfOpen: true }, near => {
    const far = open()
    pass(near, far)
    pass(far, near)
  })
  const close = server.close.bind(server)
  server.close = onClosed => {
    for (const socket of sockets) socket.destroy()
    return close(onClosed)
  }
  return server
}
