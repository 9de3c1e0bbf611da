import type { Duplex } from 'node:stream'
import type { NetworkSocket } from '@spectrum/network'

const pollMs = 100
/** So much may wait to be sent before its turn; what is beyond takes its turn. */
const maxKeepAliveBytes = 64 * 1024

type Done = (error?: Error | null) => void
type Action = (done: Done) => void

/** What a socket asks before each write. */
export interface WritePermission {
  /** Whether this process may speak for the session now. */
  mayWrite(): boolean
  /** Whether it may keep the connection alive, though it may not speak. */
  mayKeepAlive(): boolean
}

/**
 * Lets a socket write only while `mayWrite` says so, asked directly before each write: an owner that was stopped past its
 * lease runs its overdue timers first when it goes on, and none of them may reach the network. What is held back leaves, in
 * order, once it may; the socket's buffer fills meanwhile as with a slow peer. What `writeKeepAlive` is given goes past what
 * is held back while `mayKeepAlive` says so, between two writes and never within one.
 */
export function guardWrites(socket: Duplex, permission: WritePermission): void {
  const guard = new WriteGuard(socket, permission)
  const write = socket._write.bind(socket)
  const writev = socket._writev?.bind(socket)
  const keepAlive: Required<Pick<NetworkSocket, 'writeKeepAlive'>> = {
    writeKeepAlive: bytes => guard.keepAlive(bytes, done => write(bytes, 'buffer' as BufferEncoding, done)),
  }
  socket._write = (chunk, encoding, done) => guard.pass(passed => write(chunk, encoding, passed), done)
  if (writev !== undefined) socket._writev = (chunks, done) => guard.pass(passed => writev(chunks, passed), done)
  Object.assign(socket, keepAlive)
}

class WriteGuard {
  readonly #socket: Duplex
  readonly #permission: WritePermission
  /** One write at a time is with the system: TLS takes no second one. */
  #isWriting = false
  /** Goes on with the write that is held back; Writable hands over nothing more until that one is done. */
  #held: (() => void) | undefined
  #urgent: { bytes: Uint8Array; action: Action }[] = []
  #urgentBytes = 0

  constructor(socket: Duplex, permission: WritePermission) {
    this.#socket = socket
    this.#permission = permission
  }

  /** An ordinary write: at once if it may be, else when it may. */
  pass(action: Action, done: Done): void {
    if (!this.#isWriting && this.#permission.mayWrite()) return this.#begin(action, done)
    const again = () => {
      if (this.#held !== again) return
      clearTimeout(timer)
      this.#held = undefined
      if (this.#socket.destroyed) done()
      else this.pass(action, done)
    }
    this.#held = again
    const timer = setTimeout(again, pollMs).unref()
  }

  keepAlive(bytes: Uint8Array, action: Action): void {
    if (this.#socket.destroyed || this.#socket.writableEnded) return
    if (!this.#mayGoFirst() || this.#urgentBytes + bytes.length > maxKeepAliveBytes) {
      this.#socket.write(bytes)
      return
    }
    this.#urgent.push({ bytes, action })
    this.#urgentBytes += bytes.length
    this.#sendUrgent()
  }

  /** With permission to speak, or without any, it takes its turn. */
  #mayGoFirst(): boolean {
    return !this.#permission.mayWrite() && this.#permission.mayKeepAlive()
  }

  #begin(action: Action, done: Done): void {
    this.#isWriting = true
    action(error => {
      this.#isWriting = false
      this.#sendUrgent()
      done(error)
    })
  }

  #sendUrgent(): void {
    const next = this.#isWriting || this.#socket.destroyed ? undefined : this.#urgent.shift()
    if (next === undefined) return
    const { bytes, action } = next
    this.#urgentBytes -= bytes.length
    // It waited for the write before it: much may have happened.
    if (!this.#mayGoFirst()) {
      this.#socket.write(bytes)
      return this.#sendUrgent()
    }
    this.#begin(action, error => {
      if (error) this.#socket.destroy(error)
      this.#held?.()
    })
  }
}
