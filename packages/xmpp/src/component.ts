import { ComponentStream, type StreamOptions } from './component-stream.ts'
import { ConfirmedOutput, type Discarded, type OutputItem } from './confirmed-output.ts'
import type { Element } from './element.ts'

export interface ComponentOptions extends Omit<StreamOptions, 'limits'> {
  /** Resource of the component's JID that this process speaks as; unique among its processes. */
  readonly resource: string
  /** Bytes of one stanza, in and out. Default 262,144. */
  readonly maxStanzaBytes?: number
  /** Levels of elements in one stanza. Default 64. */
  readonly maxDepth?: number
  /** Milliseconds, monotonic. Default performance.now. */
  readonly now?: () => number
  /** One stanza from the server. One that was too deep or too large comes without children: see `excessOf`. Must not throw. */
  onStanza(stanza: Element): void
  /** There is a stream. `failures`: tries in vain since the last one. */
  onOnline?(failures: number): void
  onOffline?(): void
  /** A barrier returned after so long. */
  onBarrier?(latencyMs: number): void
  /** So many stanzas are not written as they are too large, or not again as the server closes the stream for them. */
  onDiscarded?(reason: Discarded, stanzas: number): void
  /** A stream ended with so many stanzas written and not confirmed: they are written again, or given back to their source. */
  onUnconfirmed?(stanzas: number): void
}

/**
 * An external component (XEP-0114): one stream to the XMPP server, connected again for as long as it takes, whose output the
 * server confirms. See {@link ComponentStream} for connecting and {@link ConfirmedOutput} for what confirmation means.
 */
export class Component {
  readonly #stream: ComponentStream
  readonly #output: ConfirmedOutput
  readonly #onStanza: (stanza: Element) => void
  readonly #domain: string
  #hasReceived = false
  /** The JID that our own IQs are from. */
  readonly jid: string

  constructor(options: ComponentOptions) {
    this.#domain = options.domain
    this.jid = `${options.domain}/${options.resource}`
    this.#onStanza = stanza => options.onStanza(stanza)
    const maxStanzaBytes = options.maxStanzaBytes ?? 262_144
    const limits = {
      maxDepth: options.maxDepth ?? 64,
      maxStanzaLength: maxStanzaBytes,
      maxPendingLength: 32 * 1024 * 1024,
    }
    this.#output = new ConfirmedOutput({
      from: this.jid,
      to: options.domain,
      maxStanzaBytes,
      write: xml => this.#stream.write(xml),
      isDrained: () => this.#stream.bufferedBytes === 0,
      abandon: reason => this.#stream.silent(reason),
      onUnconfirmable: () =>
        options.log.warn(
          { jid: options.domain },
          'the XMPP server does not return what the component sends to itself: what is written counts as delivered',
        ),
      now: options.now ?? (() => performance.now()),
      ...(options.onBarrier === undefined ? {} : { onBarrier: options.onBarrier.bind(options) }),
      ...(options.onDiscarded === undefined ? {} : { onDiscarded: options.onDiscarded.bind(options) }),
      ...(options.onUnconfirmed === undefined ? {} : { onUnconfirmed: options.onUnconfirmed.bind(options) }),
    })
    this.#stream = new ComponentStream(
      { ...options, limits },
      {
        onStanza: stanza => {
          this.#hasReceived = true
          this.receive(stanza)
        },
        onOnline: failures => {
          this.#hasReceived = false
          this.#output.opened(() => options.onOnline?.(failures))
        },
        onOffline: isGivenUp => {
          this.#output.lost(!isGivenUp)
          options.onOffline?.()
        },
        onDrain: () => this.#output.drained(),
      },
    )
  }

  get isOnline(): boolean {
    return this.#stream.isOnline
  }

  /** The server has given the present, or last, stream at least one stanza. */
  get hasReceived(): boolean {
    return this.#hasReceived
  }

  /** Nothing has come back for 15 s on a stream that stands. */
  get isSilent(): boolean {
    return this.#stream.isSilent
  }

  /** See {@link ComponentStream.isContested}. */
  get isContested(): boolean {
    return this.#stream.isContested
  }

  /** See {@link ConfirmedOutput.isConfirming}. */
  get isConfirming(): boolean {
    return this.#output.isConfirming
  }

  /** True while so much output waits that its source should. */
  get isCongested(): boolean {
    return this.#output.isCongested
  }

  /** Items that the server has not confirmed. */
  get backlog(): number {
    return this.#output.backlog
  }

  onRelief(listener: () => void): void {
    this.#output.onRelief(listener)
  }

  start(): void {
    this.#stream.start()
  }

  /** See {@link ComponentStream.hurry}. */
  hurry(): boolean {
    return this.#stream.hurry()
  }

  /**
   * Queues; leaves with the others of this turn of the event loop, now or when there is a stream. Order is kept. Returns how
   * many stanzas were taken; one that is too large is not, and an item of which nothing is left is confirmed at once.
   */
  send(item: OutputItem): number {
    return this.#output.send(item)
  }

  /**
   * A stanza from the server. Also one that the server wrote to another process's stream of the same domain and that is for
   * this one: a barrier was processed after all that was written before it, whichever stream it comes back on.
   */
  receive(stanza: Element): void {
    this.#output.heard()
    if (stanza.name === 'iq' && this.#isOwn(stanza) && this.#output.returned(String(stanza.attrs.id))) return
    this.#onStanza(stanza)
  }

  /** Forgets what is queued and not written yet of the items with this owner. */
  withdraw(owner: object): void {
    this.#output.withdraw(owner)
  }

  /** While true, what other processes would pass on to {@link receive} cannot reach us, so that silence proves nothing. */
  isCutOff(isCutOff: boolean): void {
    this.#output.paused(isCutOff, 'detour')
  }

  /** See {@link ComponentStream.replaced}. Nothing is written meanwhile. */
  async replaced(deadlineMs: number): Promise<boolean> {
    this.#output.hush(true)
    const hasEnded = await this.#stream.replaced(deadlineMs)
    if (!hasEnded) this.#output.hush(false)
    return hasEnded
  }

  /** After the end: unconfirmed stanzas that nobody would send again (those without `onReopened`), for another process. */
  takeAnswers(): string[] {
    return this.#output.takeAnswers()
  }

  /** Stops reading, for a consumer that cannot take more. */
  pause(): void {
    this.#output.paused(true)
    this.#stream.pause()
  }

  resume(): void {
    this.#output.paused(false)
    this.#stream.resume()
  }

  /** Waits until the server has confirmed what was sent, `deadlineMs` at most. Returns how many stanzas are unconfirmed. */
  async settled(deadlineMs: number): Promise<number> {
    return this.isOnline ? await this.#output.settled(deadlineMs) : this.backlog
  }

  /** Waits for what was sent as {@link settled} does, then ends the stream. Returns what is unconfirmed. */
  async stop(deadlineMs = 5_000): Promise<number> {
    const unconfirmed = await this.settled(deadlineMs)
    // Behind the end of a stream nothing may follow, and what is written to a server that has gone costs what it said last.
    this.#output.hush(true)
    await this.#stream.stop()
    return unconfirmed
  }

  // The server hands our ping back as it is, or answers it in our name: both prove that it was processed. Nobody else speaks from
  // our domain, though others may know the JID and guess an id.
  #isOwn({ attrs }: Element): boolean {
    return (attrs.from === this.jid || attrs.to === this.jid) && domainOf(String(attrs.from ?? '')) === this.#domain
  }
}

function domainOf(jid: string): string {
  const [bare = ''] = jid.split('/')
  return bare.slice(bare.lastIndexOf('@') + 1)
}
