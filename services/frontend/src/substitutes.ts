import type { Component } from '@spectrum/xmpp'

/**
 * Further connections of this process, held in place of frontends that are missing. ejabberd shares users out over a fixed
 * number of connections and drops in silence what is for one that is not there. They only read: everything is written to the
 * connection of the process itself.
 */
export class Substitutes {
  readonly #open: () => Component
  readonly #held: Component[] = []
  #isPaused = false

  /** `open` makes a connection. Not started. */
  constructor(open: () => Component) {
    this.#open = open
  }

  get count(): number {
    return this.#held.length
  }

  /** Opens or closes until there are so many; fulfils when those that are closed have ended. */
  async hold(count: number): Promise<void> {
    while (this.#held.length < count) {
      const component = this.#open()
      // Nothing is asked on it, so that silence proves nothing.
      component.isCutOff(true)
      if (this.#isPaused) component.pause()
      this.#held.push(component)
      component.start()
    }
    await Promise.all(this.#held.splice(count).map(component => component.stop(0)))
  }

  /** Stops reading, for a consumer that cannot take more; or goes on. */
  pause(isPaused: boolean): void {
    this.#isPaused = isPaused
    for (const component of this.#held) {
      if (isPaused) component.pause()
      else component.resume()
    }
  }
}
