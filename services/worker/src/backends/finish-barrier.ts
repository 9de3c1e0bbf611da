import type { Delivery } from '@spectrum/bus'
import type { Command } from '@spectrum/messages'
import type { Logger } from '@spectrum/network'

/** Something events were published to. */
interface Durable {
  durable(): Promise<void>
}

/**
 * Finishes commands once the events that they caused are durable, so that a crash loses neither. Works on all that was done
 * in one turn of the event loop together; the order in which commands were done is kept.
 */
export class FinishBarrier {
  readonly #log: Logger
  #done: Delivery<Command>[] = []
  readonly #touched = new Set<Durable>()
  #tail: Promise<void> | undefined
  #isScheduled = false

  constructor(log: Logger) {
    this.#log = log
  }

  touched(lane: Durable): void {
    this.#touched.add(lane)
  }

  done(delivery: Delivery<Command>): void {
    this.#done.push(delivery)
    if (this.#isScheduled) return
    this.#isScheduled = true
    setImmediate(() => this.flush())
  }

  /** Ends the group of this turn. */
  flush(): void {
    this.#isScheduled = false
    if (this.#done.length === 0) return
    const group = this.#done
    this.#done = []
    if (this.#touched.size === 0 && this.#tail === undefined) return finishAll(group)
    const lanes = [...this.#touched]
    this.#touched.clear()
    const before = this.#tail
    const tail: Promise<void> = Promise.all([before, ...lanes.map(lane => lane.durable())]).then(
      () => {
        if (this.#tail === tail) this.#tail = undefined
        finishAll(group)
      },
      error =>
        this.#log.error(
          { err: error, commands: group.length },
          'commands stay unfinished: their events are not stored',
        ),
    )
    this.#tail = tail
  }

  /** Fulfils when everything done so far is finished, and every event told so far durable. */
  async settled(): Promise<void> {
    const lanes = [...this.#touched]
    this.flush()
    await Promise.all([this.#tail, ...lanes.map(lane => lane.durable())])
  }
}

function finishAll(group: readonly Delivery<Command>[]): void {
  for (const delivery of group) delivery.finish()
}
