import { hostname } from 'node:os'
import { setTimeout as delay } from 'node:timers/promises'
import type { Owners, ProcessInfo } from '@spectrum/bus'

export interface SuccessionOptions {
  readonly owners: Pick<Owners, 'processes' | 'setInfo'>
  /** Name of this process on the bus. */
  readonly self: string
  /** Words of the command line by which this router knows the workers that it would adopt. */
  readonly marks: readonly string[]
}

/** How long its own word may take to come back to a router that stops; without NATS it never does. */
const echoMs = 2_000

/**
 * Which routers have the workers of this machine when this one ends. Each says in its heartbeat which workers it would adopt;
 * one that stops takes that back. Routers of other machines, with other workers, or with another launcher adopt none.
 */
export class Succession {
  readonly #options: SuccessionOptions
  readonly #adopts: string

  constructor(options: SuccessionOptions) {
    this.#options = options
    this.#adopts = options.marks.join(' ')
    options.owners.setInfo({ adopts: this.#adopts })
  }

  /**
   * Says that this router stops, and fulfils with those that have its workers now.
   *
   * All routers hear the same heartbeats in the same order, each its own among them. So of several that stop at once the last
   * one to say so knows of all the others and finds no heir. An earlier one may find none either: then both stop the workers.
   */
  async resign(): Promise<readonly ProcessInfo[]> {
    const { owners } = this.#options
    owners.setInfo({})
    const deadline = performance.now() + echoMs
    while (!this.#hasHeardItself() && performance.now() < deadline) await delay(10)
    return owners.processes('router').filter(router => this.#isHeir(router))
  }

  #hasHeardItself(): boolean {
    const self = this.#options.owners.processes('router').find(({ process }) => process === this.#options.self)
    return self !== undefined && self.info.adopts === undefined
  }

  #isHeir({ process, host, info }: ProcessInfo): boolean {
    return process !== this.#options.self && host === hostname() && info.adopts === this.#adopts
  }
}
