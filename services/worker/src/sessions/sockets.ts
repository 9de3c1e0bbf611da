import type { Duplex } from 'node:stream'
import type { Pausable } from './event-lanes.ts'
import { guardWrites } from './write-guard.ts'

/** The sockets of one session: they stop reading while the bus does not take events, and end with the session. */
export class Sockets implements Pausable {
  readonly #open = new Set<Duplex>()
  readonly #mayWrite: () => boolean
  #isPaused = false

  /** `mayWrite`: whether this process may speak for the session now; asked before each write. */
  constructor(mayWrite: () => boolean) {
    this.#mayWrite = mayWrite
  }

  add(socket: Duplex): void {
    guardWrites(socket, this.#mayWrite)
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
