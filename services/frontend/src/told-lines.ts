import type { Event } from '@spectrum/messages'

/** Lines that are remembered of one backend under one epoch: at least that many, at most twice as many. */
const mostLines = 512
/** Earlier epochs of a backend that are remembered. */
const mostEpochs = 3

interface Told {
  epoch: number
  young: Set<string>
  old: ReadonlySet<string>
  /** What earlier owners of the backend told, the latest last. */
  readonly before: Set<string>[]
}

/**
 * Which lines each backend told lately, by the ids that the network gave them. Whoever takes a backend over after a crash asks the
 * network for what was said after the last line it knows to be told, and that may be some lines back: those come again,
 * with the time when they were said. Only what another owner told counts: an event that is delivered again is no double.
 */
export class ToldLines {
  readonly #backends = new Map<number, Told>()

  /** True when an earlier owner of the backend told this line; else it is remembered. */
  isDouble(event: Event): boolean {
    const { event: body, user, key, backend, epoch } = event
    if (body?.$case !== 'messageReceived') return false
    const { networkId, delayedAtMs } = body.value
    // Any other key is the event's own: a line that a session tells again on purpose.
    if (networkId === '' || key !== `${user}/${networkId}`) return false
    const told = this.#of(backend, epoch)
    if (epoch < told.epoch) {
      told.before.at(-1)?.add(key)
      return false
    }
    if (delayedAtMs !== undefined && told.before.some(keys => keys.has(key))) return true
    told.young.add(key)
    if (told.young.size >= mostLines) {
      told.old = told.young
      told.young = new Set()
    }
    return false
  }

  #of(backend: number, epoch: number): Told {
    const told = this.#backends.get(backend)
    if (told === undefined) {
      const first: Told = { epoch, young: new Set(), old: new Set(), before: [] }
      this.#backends.set(backend, first)
      return first
    }
    if (epoch > told.epoch) {
      told.epoch = epoch
      told.before.push(new Set([...told.old, ...told.young]))
      if (told.before.length > mostEpochs) told.before.shift()
      told.young = new Set()
      told.old = new Set()
    }
    return told
  }
}
