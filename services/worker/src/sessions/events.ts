import type { Event } from '@spectrum/messages'
import type { WorkerMetrics } from '../metrics.ts'
import type { BackendLink } from './context.ts'
import type { EventLane } from './event-lanes.ts'

/** One kind of event with its value, as declared in events.proto. */
export type EventBody = NonNullable<Event['event']>

/** No resource named: the event goes to the user's bare JID. */
export const bareJid: readonly string[] = []

/** Writes the events of one session, in order, in the name of its backend and epoch. */
export class EventWriter {
  readonly lane: EventLane
  readonly #user: string
  readonly #link: BackendLink
  readonly #metrics: WorkerMetrics

  constructor(user: string, lane: EventLane, link: BackendLink, metrics: WorkerMetrics) {
    this.lane = lane
    this.#user = user
    this.#link = link
    this.#metrics = metrics
  }

  /**
   * @param resources who gets it; must not be changed afterwards. {@link bareJid}: the server decides.
   * @param traceparent of the command that caused it, if any
   * @param key when the network gives the event a lasting identity; else one is made
   */
  write(event: EventBody, resources: readonly string[], traceparent = '', key: string = this.#link.nextKey()): void {
    this.#metrics.countEvent(event.$case)
    this.lane.publish({
      key,
      user: this.#user,
      resources: resources as string[],
      backend: this.#link.number,
      epoch: this.#link.epoch,
      traceparent,
      atMs: Date.now(),
      event,
    })
    this.#link.touched(this.lane)
  }

  nextKey(): string {
    return this.#link.nextKey()
  }
}
