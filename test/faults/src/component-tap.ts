import type { Load } from './load/load.ts'
import { attribute, StanzaSplitter } from './load/stanza-splitter.ts'
import type { System } from './system.ts'

/** A stanza that the gateway wrote for a user. */
interface Told {
  readonly user: string
  readonly text: string
}

/** One component stream. Times in ms. */
interface ComponentStream {
  readonly forth: StanzaSplitter
  readonly back: StanzaSplitter
  /** What was written on it, oldest first. */
  readonly written: Told[]
  /** How many of these the server has confirmed by when. */
  readonly confirmations: { readonly count: number; readonly at: number }[]
  /** How many were written before a barrier that is under way. */
  readonly barriers: Map<string, number>
  /** When the server said that a user goes. */
  readonly departures: Map<string, number>
}

/** What the server confirmed so shortly before it lost its clients may be told again (see the frontend's recent lines). */
const uncertainMs = 300
/** So much later than here the gateway may get to it. */
const transitMs = 25

/**
 * Reads along between the frontends and the XMPP server: which lines the server passed on, and which stanzas it confirmed,
 * which is when an IQ that the gateway sent behind them to itself has come back.
 */
export class ComponentTap implements Disposable {
  readonly #system: System
  readonly #load: Load
  readonly #streams = new Map<number, ComponentStream>()

  constructor(system: System, load: Load) {
    this.#system = system
    this.#load = load
    system.tap = (direction, chunk, connection) => this.#stream(connection)[direction].write(chunk)
  }

  /** What the XMPP server has confirmed until now. */
  get confirmed(): readonly Told[] {
    return [...this.#streams.values()].flatMap(({ written, confirmations }) =>
      written.slice(0, confirmations.at(-1)?.count ?? 0),
    )
  }

  /** What was written on the streams that have ended and never confirmed: it may have been passed on all the same. */
  get unconfirmed(): readonly Told[] {
    return this.#ended().flatMap(({ written, confirmations }) => written.slice(confirmations.at(-1)?.count ?? 0))
  }

  /** The same, and what was confirmed in the last 0.3 s before its user was said to go, or the stream ended. */
  get uncertain(): readonly Told[] {
    return this.#ended().flatMap(({ written, confirmations, departures, endedAt }) =>
      written.filter(({ user }, index) => {
        const confirmedAt = confirmations.find(({ count }) => count > index)?.at
        const goneAt = departures.get(user) ?? endedAt
        return confirmedAt === undefined || confirmedAt > goneAt - uncertainMs - transitMs
      }),
    )
  }

  [Symbol.dispose](): void {
    this.#system.tap = undefined
  }

  #ended(): (ComponentStream & { endedAt: number })[] {
    const endings = this.#system.componentProxy?.endings ?? []
    return endings.flatMap(({ connection, at }) => {
      const stream = this.#streams.get(connection)
      return stream === undefined ? [] : [{ ...stream, endedAt: at }]
    })
  }

  #stream(connection: number): ComponentStream {
    const known = this.#streams.get(connection)
    if (known !== undefined) return known
    const stream: ComponentStream = {
      forth: new StanzaSplitter(stanza => toServer(stanza, stream)),
      back: new StanzaSplitter(stanza => this.#fromServer(stanza, stream)),
      ...{ written: [], confirmations: [], barriers: new Map(), departures: new Map() },
    }
    this.#streams.set(connection, stream)
    return stream
  }

  #fromServer(stanza: string, { confirmations, barriers, departures }: ComponentStream): void {
    const at = performance.now()
    if (stanza.startsWith('<message')) this.#load.passedOn(stanza, at)
    else if (stanza.startsWith('<presence') && attribute(stanza, 'type') === 'unavailable') {
      const user = userOf(attribute(stanza, 'from') ?? '')
      if (!departures.has(user)) departures.set(user, at)
    } else if (stanza.startsWith('<iq')) {
      const id = attribute(stanza, 'id') ?? ''
      const count = barriers.get(id)
      barriers.delete(id)
      if (count !== undefined && count > (confirmations.at(-1)?.count ?? 0)) confirmations.push({ count, at })
    }
  }
}

function toServer(stanza: string, { written, barriers }: ComponentStream): void {
  const to = attribute(stanza, 'to') ?? ''
  if (stanza.startsWith('<message') && to !== '') written.push({ user: userOf(to), text: stanza })
  else if (stanza.startsWith('<iq')) barriers.set(attribute(stanza, 'id') ?? '', written.length)
}

const userOf = (jid: string): string => jid.slice(0, jid.indexOf('@'))
