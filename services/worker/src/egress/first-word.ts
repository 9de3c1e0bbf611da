import type { Socket } from 'node:net'

const shortestPollMs = 5
const longestPollMs = 100

/**
 * Calls once the socket has received something, is destroyed, or neither happened in the time. Looks at the count of bytes, as a
 * listener would make the stream flow before its reader is there; ever less often.
 */
export function whenHeard(
  socket: Pick<Socket, 'bytesRead' | 'destroyed'>,
  limitMs: number,
  listener: () => void,
): void {
  const end = performance.now() + limitMs
  const look = (pollMs: number) => {
    if (socket.bytesRead > 0 || socket.destroyed || performance.now() >= end) return listener()
    setTimeout(look, pollMs, Math.min(longestPollMs, pollMs * 1.2)).unref()
  }
  look(shortestPollMs)
}
