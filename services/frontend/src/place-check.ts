import { escapeAttribute } from '@spectrum/xmpp'

export interface PlaceCheckOptions {
  /** The component's JID, and the resource of it that is this process's. */
  readonly domain: string
  readonly resource: string
  /** Writes stanzas to the component's own stream; `onConfirmed` once the server has processed them. */
  write(stanzas: readonly string[], onConfirmed: () => void): void
  /** Of the last probes so many did not come back. */
  onLost(probes: number): void
  /** Milliseconds, monotonic. Default performance.now. */
  readonly now?: () => number
}

/** What a round of probes told. */
export type Places =
  /** Every probe came back: each place has a connection that is read. */
  | 'whole'
  /** Some did not, twice in a row: the server drops in silence what it would give to a connection that is dead or missing. */
  | 'broken'
  | 'unknown'

/** The server hands probes over within this time after it has processed them. */
const returnMs = 2_000
const probesPerPlace = 8
const idPrefix = 'place-'

interface Round {
  readonly open: Set<string>
  confirmedAt: number | undefined
}

/**
 * Whether what users say reaches the gateway by every connection that the XMPP server shares them out over. Who is given to which
 * connection is the server's secret, so that answers (which nobody answers) are sent to ourselves in the name of many users who
 * do not exist, other ones each time, and counted when they come back, by whichever connection.
 */
export class PlaceCheck {
  readonly #options: PlaceCheckOptions
  readonly #now: () => number
  #round: Round | undefined
  #count = 0
  #badRounds = 0

  constructor(options: PlaceCheckOptions) {
    this.#options = options
    this.#now = options.now ?? (() => performance.now())
  }

  /** What the last round told; begins the next. `places`: how many connections the server is known to count on. */
  look(places: number): Places {
    const last = this.#round
    // A server that is slow, or was away, proves nothing.
    if (last !== undefined && (last.confirmedAt === undefined || this.#now() - last.confirmedAt < returnMs))
      return 'unknown'
    this.#begin(Math.max(2, places) * probesPerPlace)
    if (last === undefined) return 'unknown'
    this.#options.onLost(last.open.size)
    if (last.open.size === 0) {
      this.#badRounds = 0
      return 'whole'
    }
    return ++this.#badRounds < 2 ? 'unknown' : 'broken'
  }

  /** The stream is another one: what was under way on the last proves nothing. */
  forget(): void {
    this.#round = undefined
    this.#badRounds = 0
  }

  /** True for a probe of this process. Others may guess an id, but not speak in the name of the component's users. */
  returned(id: string, from: string, to: string): boolean {
    if (!id.startsWith(idPrefix) || from !== `${id}@${this.#options.domain}` || to !== this.#address) return false
    this.#round?.open.delete(id)
    return true
  }

  get #address(): string {
    return `${this.#options.domain}/${this.#options.resource}`
  }

  #begin(probes: number): void {
    const { domain, write } = this.#options
    const round: Round = { open: new Set(), confirmedAt: undefined }
    const to = escapeAttribute(this.#address)
    const stanzas: string[] = []
    for (let probe = 0; probe < probes; probe++) {
      const id = `${idPrefix}${(++this.#count).toString(36)}`
      round.open.add(id)
      stanzas.push(`<iq type="result" id="${id}" from="${id}@${escapeAttribute(domain)}" to="${to}"/>`)
    }
    this.#round = round
    write(stanzas, () => {
      round.confirmedAt = this.#now()
    })
  }
}
