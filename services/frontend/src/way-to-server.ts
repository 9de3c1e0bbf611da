import type { Component, LifeProbe } from '@spectrum/xmpp'

/** How often it is looked whether there is a stream. */
const lookMs = 1_000
/** Without a stream for so long, the owner of the component says that it is stranded. */
const strandedMs = 3_000
/** So long the owner may take to connect once it knows that another reaches the server. */
const patienceMs = 3_000
/** On a stream that is silent: a server that woke up first reads what was written to it, and is then asked by the stream's own probe. */
const silentPatienceMs = 6_000
/** A server that answered within this time is within reach. */
const provenMs = 5_000
/** A probe that has neither failed nor been answered by then is made anew. */
const probeMs = 5_000
/** Whoever had the component and never a stream offers itself again after so long, each time twice as long. */
const firstReserveMs = 10_000
const longestReserveMs = 300_000

export interface OwnersWayOptions {
  readonly component: Pick<Component, 'isOnline' | 'isSilent' | 'isContested' | 'hurry'>
  /** Called with each change. */
  onStranded(isStranded: boolean): void
  /** Milliseconds, monotonic. Default performance.now. */
  now?(): number
}

/** Whether the owner of the component has a stream, and when it should leave the component to another that reaches the server. */
export class OwnersWay implements Disposable {
  readonly #options: OwnersWayOptions
  readonly #now: () => number
  readonly #timer: NodeJS.Timeout
  #hadStream = false
  #isStranded = false
  #wasOnline = false
  #lostAt: number | undefined
  /** When another first said that it reaches the server. */
  #offeredAt: number | undefined

  constructor(options: OwnersWayOptions) {
    this.#options = options
    this.#now = options.now ?? (() => performance.now())
    this.#timer = setInterval(() => this.look(), lookMs).unref()
    this.look()
  }

  /** There was a stream since the component is this process's. */
  get hadStream(): boolean {
    return this.#hadStream
  }

  /** Looks at the component; by itself once a second, and whenever something is known to have changed. */
  look(): void {
    const { isOnline, isSilent, isContested } = this.#options.component
    if (isOnline) this.#hadStream = true
    // What became of a silent stream is another matter, for which there is time anew.
    if (isOnline !== this.#wasOnline) this.#offeredAt = undefined
    this.#wasOnline = isOnline
    // Where somebody else holds the domain, another frontend would be refused as well.
    if ((isOnline && !isSilent) || isContested) this.#lostAt = this.#offeredAt = undefined
    else this.#lostAt ??= this.#now()
    const isStranded = this.#lostAt !== undefined && this.#now() - this.#lostAt >= strandedMs
    if (isStranded === this.#isStranded) return
    this.#isStranded = isStranded
    this.#options.onStranded(isStranded)
  }

  /**
   * Another frontend reaches the server. True when the component should be left to it: this one knew it for long enough, and has
   * no stream. Before that it tries at once: if the server was away from all, it is back for this one too.
   */
  offered(): boolean {
    this.look()
    if (!this.#isStranded) return false
    const { component } = this.#options
    this.#offeredAt ??= this.#now()
    if (this.#now() - this.#offeredAt >= (component.isOnline ? silentPatienceMs : patienceMs)) return true
    component.hurry()
    return false
  }

  [Symbol.dispose](): void {
    clearInterval(this.#timer)
  }
}

export interface StandbysWayOptions {
  /** Begins to ask whether the server lives. */
  probe(): Pick<LifeProbe, 'answeredAt' | 'hasFailed'> & Disposable
  /** Milliseconds, monotonic. Default performance.now. */
  now?(): number
}

/** Whether a standby reaches the XMPP server, for an owner of the component that does not. */
export class StandbysWay implements Disposable {
  readonly #options: StandbysWayOptions
  readonly #now: () => number
  #probe: ReturnType<StandbysWayOptions['probe']> | undefined
  #probedAt = Number.NEGATIVE_INFINITY
  #answeredAt = Number.NEGATIVE_INFINITY
  #failures = 0
  #reservedUntil = Number.NEGATIVE_INFINITY

  constructor(options: StandbysWayOptions) {
    this.#options = options
    this.#now = options.now ?? (() => performance.now())
  }

  /** To be called each second while the owner is stranded. True when the server has answered this process lately. */
  look(): boolean {
    const now = this.#now()
    if (now < this.#reservedUntil) return false
    const probe = this.#probe
    if (probe?.answeredAt !== undefined) this.#answeredAt = probe.answeredAt
    if (probe?.hasFailed) this.#answeredAt = Number.NEGATIVE_INFINITY
    const isOver = probe === undefined || probe.hasFailed || probe.answeredAt !== undefined
    // News wakes whoever looks more often than once a second.
    if (now - this.#probedAt >= (isOver ? lookMs / 2 : probeMs)) {
      probe?.[Symbol.dispose]()
      this.#probe = this.#options.probe()
      this.#probedAt = now
    }
    return now - this.#answeredAt < provenMs
  }

  /**
   * This process gave the component up, or had a stream while it was its own. A server that answers a probe may still refuse the
   * component, as for a wrong secret: then the role must not go round in circles.
   */
  tenureEnded(hadStream: boolean): void {
    if (hadStream) {
      this.#failures = 0
      this.#reservedUntil = Number.NEGATIVE_INFINITY
    } else
      this.#reservedUntil =
        this.#now() + Math.min(longestReserveMs, firstReserveMs * 2 ** Math.min(this.#failures++, 10))
  }

  /** Nobody needs to know for now. */
  [Symbol.dispose](): void {
    this.#probe?.[Symbol.dispose]()
    this.#probe = undefined
    this.#answeredAt = Number.NEGATIVE_INFINITY
  }
}
