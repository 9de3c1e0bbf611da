import type { Duplex } from 'node:stream'
import type { Pausable } from './event-lanes.ts'

/** The sockets of one session: they stop reading while the bus does not take events, and end with the session. */
export class Sockets implements Pausable {
  readonly #open = new Set<Duplex>()
  #isPaused = false

  add(socket: Duplex): void {
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
