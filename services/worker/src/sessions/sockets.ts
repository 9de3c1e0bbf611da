import type { Duplex } from 'node:stream'
import type { Pausable } from './event-lanes.ts'
import { guardWrites, type WritePermission } from './write-guard.ts'

/** The sockets of one session: they stop reading while the bus does not take events, and end with the session. */
export class Sockets implements Pausable {
  readonly #open = new Set<Duplex>()
  readonly #permission: WritePermission
  #isPaused = false

  constructor(permission: WritePermission) {
    this.#permission = permission
  }

  add(socket: Duplex): void {
    guardWrites(socket, this.#permission)
    this.#open.add(socket)
    socket.once('close', () => this.#open.delete(socket))
    if (this.#isPaused) socket.pause()
  }

  pause(): void {
    this.#isPaused = true
    for (const socket of this.#open) socket.pause()
  }

  resume(): void {
    this.#isPaused = false
    for (const socket of this.#open) socket.resume()
  }

  destroy(): void {
    for (const socket of this.#open) socket.destroy()
  }
}
