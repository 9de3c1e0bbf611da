import { Show } from '@spectrum/messages'
import type { Show as NetworkShow, Presence } from '@spectrum/network'

/** One XMPP resource that is available to the gateway. */
export interface Resource {
  readonly show: Show
  readonly status: string
  readonly priority: number
}

/** The more available the larger: decides between resources of the same priority. */
const availability: Readonly<Record<Show, number>> = {
  [Show.SHOW_CHAT]: 6,
  [Show.SHOW_UNSPECIFIED]: 5,
  [Show.SHOW_AWAY]: 4,
  [Show.SHOW_XA]: 3,
  [Show.SHOW_DND]: 2,
  [Show.SHOW_INVISIBLE]: 1,
  [Show.SHOW_OFFLINE]: 0,
}

const networkShows: Readonly<Record<Show, NetworkShow>> = {
  [Show.SHOW_UNSPECIFIED]: 'online',
  [Show.SHOW_CHAT]: 'chat',
  [Show.SHOW_AWAY]: 'away',
  [Show.SHOW_XA]: 'xa',
  [Show.SHOW_DND]: 'dnd',
  [Show.SHOW_INVISIBLE]: 'invisible',
  [Show.SHOW_OFFLINE]: 'offline',
}

const protoShows: Readonly<Record<NetworkShow, Show>> = {
  online: Show.SHOW_UNSPECIFIED,
  chat: Show.SHOW_CHAT,
  away: Show.SHOW_AWAY,
  xa: Show.SHOW_XA,
  dnd: Show.SHOW_DND,
  invisible: Show.SHOW_INVISIBLE,
  offline: Show.SHOW_OFFLINE,
}

export const toShow = (show: NetworkShow): Show => protoShows[show]
export const fromShow = (show: Show): NetworkShow => networkShows[show]

/** Speaks for the user: the highest priority (RFC 6121 section 4.7.2.3), then the most available, then the one that came last. */
export function aggregate(resources: Iterable<Resource>): Resource | undefined {
  let best: Resource | undefined
  for (const resource of resources) if (best === undefined || rank(resource) >= rank(best)) best = resource
  return best
}

// Priorities are -128 to 127 and availabilities below 8, so one number orders both.
const rank = ({ priority, show }: Resource): number => priority * 8 + (availability[show] ?? 0)

/** What the gateway shows of itself towards a resource. */
export interface Shown {
  readonly show: Show
  readonly status: string
}

/** The user's resources, and what each was last told of the gateway. */
export class Resources {
  readonly #present = new Map<string, Resource>()
  readonly #told = new Map<string, Shown>()
  /** Those that the XMPP server may have lost: whoever comes back under such a name has forgotten what it was told. */
  #doubted: ReadonlySet<string> = new Set()

  get size(): number {
    return this.#present.size
  }

  names(): Iterable<string> {
    return this.#present.keys()
  }

  entries(): Iterable<[string, Resource]> {
    return this.#present
  }

  has(name: string): boolean {
    return this.#present.has(name)
  }

  /** True when something changed. */
  set(name: string, resource: Resource): boolean {
    const before = this.#present.get(name)
    this.#present.set(name, resource)
    return (
      before === undefined ||
      before.show !== resource.show ||
      before.status !== resource.status ||
      before.priority !== resource.priority
    )
  }

  remove(name: string): boolean {
    this.#told.delete(name)
    return this.#present.delete(name)
  }

  /** The XMPP server may have lost all of them. */
  doubt(): void {
    this.#doubted = new Set(this.#present.keys())
  }

  /** A resource says that it is there: true when it is perhaps another than the one that was told, which is forgotten then. */
  startsAnew(name: string): boolean {
    if (!this.#doubted.has(name)) return false
    this.#doubted = new Set([...this.#doubted].filter(each => each !== name))
    this.#told.delete(name)
    return true
  }

  /** The user's presence as the network shall show it; undefined without resources. */
  aggregate(): Presence | undefined {
    const best = aggregate(this.#present.values())
    return best && { show: fromShow(best.show), ...(best.status === '' ? {} : { status: best.status }) }
  }

  aggregateShown(): Shown {
    const best = aggregate(this.#present.values())
    return best === undefined ? { show: Show.SHOW_UNSPECIFIED, status: '' } : { show: best.show, status: best.status }
  }

  /** The resources that have not been told exactly this, which from now on count as told. */
  toTell(shown: Shown): string[] {
    const names: string[] = []
    for (const name of this.#present.keys()) {
      const told = this.#told.get(name)
      if (told !== undefined && told.show === shown.show && told.status === shown.status) continue
      this.#told.set(name, shown)
      names.push(name)
    }
    return names
  }
}
