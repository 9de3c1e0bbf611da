import type { Client } from '@spectrum/bus'
import type { Config } from '@spectrum/config'
import type { Command, RouterDefinition, Sealed } from '@spectrum/messages'
import { failures, type Logger, NetworkError } from '@spectrum/network'
import { currentTraceparent } from '@spectrum/service-kit'
import { type Element, errorReply, resultReply, type StanzaError, toXml } from '@spectrum/xmpp'
import type { Addresses } from './addresses.ts'
import type { ManifestWatch } from './manifest.ts'
import type { FrontendMetrics } from './metrics.ts'
import type { OutboundStanza } from './outbound-stanza.ts'
import type { Outbox, Outgoing } from './outbox.ts'
import type { Placements } from './placements.ts'
import type { EntityKind } from './xep.ts'

export interface GatewayParts {
  readonly config: Config
  readonly log: Logger
  readonly metrics: FrontendMetrics
  readonly addresses: Addresses
  readonly manifest: ManifestWatch
  readonly placements: Placements
  readonly outbox: Outbox
  readonly router: Client<typeof RouterDefinition>
  /** Begins the keys of this process's commands; unique among processes and their lives. */
  readonly processId: string
  /** Seals to the instance's key; throws NetworkError `unavailable` while no router has published it. */
  seal(plaintext: string): Sealed
  /** What service discovery says of that kind of JID. */
  features(kind: EntityKind): readonly string[]
  /** There is a new stream, and clients may have been lost with the last one. */
  isInDoubt(): boolean
  /** Whether a stanza from our own domain is of a user that this process plays. */
  isOwnUser(stanza: Element): boolean
  /** Writes stanzas that answer a stanza, rather than an event. */
  write(xml: string): void
}

const maxErrorText = 1_000

/** What features act through: sending commands one way and answers the other. */
export class Gateway {
  readonly parts: GatewayParts
  #commands = 0

  constructor(parts: GatewayParts) {
    this.parts = parts
  }

  get domain(): string {
    return this.parts.addresses.domain
  }

  /** Sends a command on behalf of a stanza; when it cannot leave, the stanza is answered with the error. */
  command(
    stanza: OutboundStanza,
    command: NonNullable<Command['command']>,
    options: Pick<Outgoing, 'session' | 'nickHint'> & Partial<Pick<Outgoing, 'onFailed'>>,
  ): void {
    this.parts.outbox.send({
      command: {
        key: `${this.parts.processId}.${(++this.#commands).toString(36)}`,
        user: stanza.user,
        resource: stanza.resource,
        generation: 0,
        forwards: 0,
        traceparent: currentTraceparent() ?? '',
        stanzaId: stanza.id,
        command,
      },
      onFailed: error => this.fail(stanza, error),
      ...options,
    })
  }

  /** Writes an element that answers a stanza or follows from one. */
  write(element: Element): void {
    this.parts.write(toXml(element))
  }

  /** Answers an IQ. */
  result(stanza: OutboundStanza, payload?: Element): void {
    this.write(resultReply(stanza.element, payload))
  }

  /** Answers a stanza with a failure of the table. */
  fail(stanza: OutboundStanza, error: NetworkError): void {
    const [type, condition] = failures[error.code].stanza
    this.refuse(stanza, { type, condition, text: error.message })
  }

  /** Answers a stanza with an error. What is an error or a result itself never gets one (RFC 6120 section 8.3.1). */
  refuse(stanza: OutboundStanza, error: StanzaError): void {
    if (stanza.type === 'error' || stanza.type === 'result') return
    this.parts.metrics.errors.inc({ condition: error.condition })
    this.parts.metrics.dropped.inc({ kind: 'refused', reason: error.condition })
    // Words may quote what the user sent.
    this.write(errorReply(stanza.element, { ...error, text: error.text?.slice(0, maxErrorText) ?? '' }))
  }

  /** Counts a stanza that asks for nothing. */
  ignore(reason: string): true {
    this.parts.metrics.dropped.inc({ kind: 'stanza', reason })
    return true
  }

  /** What a JID of ours stands for, as far as its name tells. */
  kindOf(to: OutboundStanza['to']): EntityKind {
    if (to.name === '') return 'gateway'
    return this.parts.manifest.isRoom(to.name) === true ? 'room' : 'contact'
  }
}

/** The answer to what the gateway does not know. */
export const notSupported = (what: string): NetworkError =>
  new NetworkError('not-supported', `${what} is not supported.`)
