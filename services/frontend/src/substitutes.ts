import type { Component } from '@spectrum/xmpp'

/** A connection, and what lets it ask for the domain. */
interface Substitute {
  readonly component: Component
  readonly enter: () => void
}

/**
 * Further connections of this process, held in place of frontends that are missing. ejabberd shares users out over a fixed
 * number of connections and drops in silence what is for one that is not there. They only read: everything is written to the
 * connection of the process itself.
 *
 * Where it is known that one will be missing, a stream is made ready that lacks but the handshake, so that its place is empty
 * for no longer than that takes.
 */
export class Substitutes {
  readonly #open: (beforeHandshake: () => Promise<void>) => Component
  readonly #held: Component[] = []
  readonly #ready: Substitute[] = []
  #isPaused = false

  /** `open` makes a connection that awaits its argument before the handshake. Not started. */
  constructor(open: (beforeHandshake: () => Promise<void>) => Component) {
    this.#open = open
  }

  get count(): number {
    return this.#held.length
  }

  /** Opens or closes until so many are held and so many more are ready; fulfils when those that are closed have ended. */
  async hold(count: number, ready = 0): Promise<void> {
    while (this.#held.length < count) {
      const { component, enter } = this.#ready.shift() ?? this.#start()
      this.#held.push(component)
      enter()
    }
    while (this.#ready.length < ready) this.#ready.push(this.#start())
    const surplus = [...this.#held.splice(count), ...this.#ready.splice(ready).map(({ component }) => component)]
    await Promise.all(surplus.map(component => component.stop(0)))
  }

  /** Opens one anew that the server has never given anything; false where there is none. */
  async renew(): Promise<boolean> {
    const idle = this.#held.findIndex(({ isOnline, hasReceived }) => isOnline && !hasReceived)
    if (idle === -1) return false
    const count = this.#held.length
    const ended = this.#held.splice(idle, 1)
    await Promise.all(ended.map(component => component.stop(0)))
    await this.hold(count, this.#ready.length)
    return true
  }

  /** Stops reading, for a consumer that cannot take more; or goes on. */
  pause(isPaused: boolean): void {
    this.#isPaused = isPaused
    for (const component of [...this.#held, ...this.#ready.map(({ component }) => component)]) {
      if (isPaused) component.pause()
      else component.resume()
    }
  }

  #start(): Substitute {
    const { promise, resolve } = Promise.withResolvers<void>()
    const component = this.#open(() => promise)
    // Nothing is asked on it, so that silence proves nothing.
    component.isCutOff(true)
    if (this.#isPaused) component.pause()
    component.start()
    return { component, enter: resolve }
  }
}
