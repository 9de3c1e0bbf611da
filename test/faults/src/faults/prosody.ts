import { setTimeout as delay } from 'node:timers/promises'
import { nothingLostToXmpp, orderKept } from '../limits.ts'
import { attribute, StanzaSplitter } from '../load/stanza-splitter.ts'
import type { Fault, Scene } from '../run.ts'
import type { System } from '../system.ts'

const awayMs = 2_000

/** Clients lose their streams and come back as new ones: nothing survives Prosody's end, XEP-0198 or not. */
export const restartProsody: Fault = {
  name: 'Prosody SIGTERM and back',
  topology: {},
  async inject({ system }) {
    await system.xmpp.stop()
    await delay(awayMs)
    await system.xmpp.start()
  },
  inspect: howTheyCameBack,
  limits: [nothingLostToXmpp, orderKept],
}

export const killProsody: Fault = {
  name: 'kill Prosody',
  topology: { hasComponentProxy: true },
  async prepare({ system, load }) {
    for (const peer of load.users) peer.counts.anew = 0
    confirmations.set(system, new Confirmations(system))
  },
  async inject({ system, load }) {
    const confirmed = confirmations.get(system)?.end() ?? []
    await system.xmpp.kill()
    for (const { user, text } of confirmed) load.excuseConfirmed(user, text)
    await delay(awayMs)
    await system.xmpp.start()
  },
  inspect: howTheyCameBack,
  limits: [nothingLostToXmpp, orderKept],
}

/** The connection between gateway and server breaks while hundreds of stanzas a second pass, three times. */
export const resetComponent: Fault = {
  name: 'component connection reset',
  topology: { hasComponentProxy: true },
  async inject({ system }) {
    for (let time = 0; time < 3; time++) {
      system.componentProxy?.reset()
      await delay(1_500)
    }
  },
  limits: [nothingLostToXmpp, orderKept],
}

const confirmations = new WeakMap<System, Confirmations>()

/**
 * Reads along on the component connection: a stanza is confirmed when an IQ that the gateway sent after it to itself has
 * come back from the server.
 */
class Confirmations {
  readonly #system: System
  readonly #waiting: { user: string; text: string }[] = []
  readonly #barriers = new Map<string, number>()
  #passed = 0
  #confirmed: { user: string; text: string }[] = []

  constructor(system: System) {
    this.#system = system
    const forth = new StanzaSplitter(stanza => this.#toServer(stanza))
    const back = new StanzaSplitter(stanza => this.#fromServer(stanza))
    system.tap = (direction, chunk) => (direction === 'forth' ? forth : back).write(chunk)
  }

  /** What was confirmed until now; nothing is read any more. */
  end(): readonly { user: string; text: string }[] {
    this.#system.tap = undefined
    return this.#confirmed
  }

  #toServer(stanza: string): void {
    const to = attribute(stanza, 'to') ?? ''
    if (stanza.startsWith('<message') && to !== '')
      this.#waiting.push({ user: to.slice(0, to.indexOf('@')), text: stanza })
    else if (stanza.startsWith('<iq'))
      this.#barriers.set(attribute(stanza, 'id') ?? '', this.#waiting.length + this.#passed)
  }

  #fromServer(stanza: string): void {
    if (!stanza.startsWith('<iq')) return
    const id = attribute(stanza, 'id') ?? ''
    const upTo = this.#barriers.get(id)
    if (upTo === undefined) return
    this.#barriers.delete(id)
    const count = upTo - this.#passed
    if (count <= 0) return
    this.#passed = upTo
    this.#confirmed.push(...this.#waiting.splice(0, count))
  }
}

async function howTheyCameBack({ load, note }: Scene): Promise<void> {
  const sum = (of: 'resumed' | 'anew'): number => load.users.reduce((all, { counts }) => all + counts[of], 0)
  note('streams resumed', sum('resumed'))
  note('begun anew', sum('anew'))
}
