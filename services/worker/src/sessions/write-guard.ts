import type { Duplex } from 'node:stream'

const pollMs = 100

type Done = (error?: Error | null) => void

/**
 * Lets a socket write only while `mayWrite` says so, asked directly before each write: an owner that was stopped past its
 * lease runs its overdue timers first when it goes on, and none of them may reach the network. What is held back leaves, in
 * order, once it may; the socket's buffer fills meanwhile as with a slow peer.
 */
export function guardWrites(socket: Duplex, mayWrite: () => boolean): void {
  const write = socket._write.bind(socket)
  const writev = socket._writev?.bind(socket)
  const whenAllowed = (action: () => void, done: Done): void => {
    if (mayWrite()) return action()
    // Writable hands over nothing more until this one is done, so there is at most one timer a socket.
    setTimeout(() => (socket.destroyed ? done() : whenAllowed(action, done)), pollMs).unref()
  }
  socket._write = (chunk, encoding, done) => whenAllowed(() => write(chunk, encoding, done), done)
  if (writev !== undefined) socket._writev = (chunks, done) => whenAllowed(() => writev(chunks, done), done)
}
