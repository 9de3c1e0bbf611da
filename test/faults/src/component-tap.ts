import type { Load } from './load/load.ts'
import { attribute, StanzaSplitter } from './load/stanza-splitter.ts'
import type { System } from './system.ts'

/** A stanza that the gateway wrote for a user. */
interface Told {
  readonly user: string
  readonly text: string
}

/** One component stream: what was written on it and is not confirmed, oldest first. */
interface ComponentStream {
  readonly forth: StanzaSplitter
  readonly back: StanzaSplitter
  readonly waiting: Told[]
  readonly barriers: Map<string, number>
  passed: number
}

/**
 * Reads along between the frontends and the XMPP server: which lines the server passed on, and which stanzas it confirmed,
 * which is when an IQ that the gateway sent behind them to itself has come back.
 */
export class ComponentTap implements Disposable {
  readonly #system: System
  readonly #load: Load
  readonly #streams = new Map<number, ComponentStream>()
  readonly #confirmed: Told[] = []

  constructor(system: System, load: Load) {
    this.#system = system
    this.#load = load
    system.tap = (direction, chunk, connection) => {
      const stream = this.#stream(connection)
      stream[direction].write(chunk)
    }
  }

  /** What the XMPP server has confirmed until now. */
  get confirmed(): readonly Told[] {
    return [...this.#confirmed]
  }

  [Symbol.dispose](): void {
    this.#system.tap = undefined
  }

  #stream(connection: number): ComponentStream {
    const known = this.#streams.get(connection)
    if (known !== undefined) return known
    const stream: ComponentStream = {
      forth: new StanzaSplitter(stanza => this.#toServer(stanza, stream)),
      back: new StanzaSplitter(stanza => this.#fromServer(stanza, stream)),
      ...{ waiting: [], barriers: new Map(), passed: 0 },
    }
    this.#streams.set(connection, stream)
    return stream
  }

  #toServer(stanza: string, { waiting, barriers, passed }: ComponentStream): void {
    const to = attribute(stanza, 'to') ?? ''
    if (stanza.startsWith('<message') && to !== '') waiting.push({ user: to.slice(0, to.indexOf('@')), text: stanza })
    else if (stanza.startsWith('<iq')) barriers.set(attribute(stanza, 'id') ?? '', waiting.length + passed)
  }

  #fromServer(stanza: string, stream: ComponentStream): void {
    if (stanza.startsWith('<message')) this.#load.passedOn(stanza, performance.now())
    if (!stanza.startsWith('<iq')) return
    const id = attribute(stanza, 'id') ?? ''
    const upTo = stream.barriers.get(id)
    if (upTo === undefined) return
    stream.barriers.delete(id)
    const count = upTo - stream.passed
    if (count <= 0) return
    stream.passed = upTo
    this.#confirmed.push(...stream.waiting.splice(0, count))
  }
}
