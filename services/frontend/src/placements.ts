import { type Bus, forwardedTopic, placementKey, protoValue, type Table } from '@spectrum/bus'
import { Placement, Placement_State } from '@spectrum/messages'

const cachedUsers = 100_000
const formerUsers = 10_000

interface Cached {
  readonly placement: Placement
  /** Of the last command that went there. */
  lastKey: string
}

/** Where users sit: the table, behind a cache of the users that spoke last. */
export class Placements {
  readonly #bus: Bus
  readonly #instance: string
  readonly #table: Table<Placement>
  readonly #cache = new Map<string, Cached>()
  /** Where users sat who were signed out since. */
  readonly #former = new Map<string, Placement>()

  constructor(bus: Bus, instance: string) {
    this.#bus = bus
    this.#instance = instance
    this.#table = bus.table('placements', protoValue(Placement))
  }

  /** From the cache; may be outdated, which the worker that gets the command finds out. */
  cached(user: string): Placement | undefined {
    return this.#cache.get(user)?.placement
  }

  /** A command of the user's was sent to where the cache says. */
  sent(user: string, key: string): void {
    const cached = this.#cache.get(user)
    if (cached !== undefined) cached.lastKey = key
  }

  /**
   * Hears of commands that workers passed on to where their user sits by now. Once that was the last one that was sent to the old
   * place, the next goes to the new one; earlier it would overtake those still under way.
   */
  listen(): Disposable {
    return this.#bus.onNotify(forwardedTopic(this.#instance), payload => {
      const [generation, key, user = ''] = Buffer.from(payload).toString('utf8').split(' ')
      const cached = this.#cache.get(user)
      if (cached === undefined || cached.lastKey !== key) return
      if (cached.placement.generation < Number(generation)) this.#cache.delete(user)
    })
  }

  /**
   * From the table; `undefined` when the user is not placed. A placement whose start is unfinished is none yet.
   *
   * @param options.isLastWord - nobody else is asked when there is none: absence is then confirmed by the table's leader.
   * A placement may be outdated either way, which the worker finds out by its generation.
   */
  async read(user: string, { isLastWord }: { isLastWord: boolean }): Promise<Placement | undefined> {
    const key = placementKey(this.#instance, user)
    let entry = await this.#table.get(key, { mayBeStale: true })
    if (entry?.value.state !== Placement_State.STATE_STARTED && isLastWord) entry = await this.#table.get(key)
    if (entry === undefined || entry.value.state !== Placement_State.STATE_STARTED) return undefined
    this.remember(user, entry.value)
    return entry.value
  }

  remember(user: string, placement: Placement): void {
    this.#cache.delete(user)
    this.#cache.set(user, { placement, lastKey: '' })
    if (this.#cache.size <= cachedUsers) return
    const [oldest] = this.#cache.keys()
    if (oldest !== undefined) this.#cache.delete(oldest)
  }

  /** Where the user sat last: what was sent there may still be under way. */
  former(user: string): Placement | undefined {
    return this.#former.get(user)
  }

  forget(user: string): void {
    const placement = this.cached(user)
    if (placement === undefined) return
    this.#cache.delete(user)
    this.#former.delete(user)
    this.#former.set(user, placement)
    if (this.#former.size <= formerUsers) return
    const [oldest] = this.#former.keys()
    if (oldest !== undefined) this.#former.delete(oldest)
  }
}
