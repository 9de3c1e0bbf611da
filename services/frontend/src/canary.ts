import type { Client } from '@spectrum/bus'
import type { RouterDefinition } from '@spectrum/messages'
import { type Logger, NetworkError } from '@spectrum/network'
import { type Element, parseJid, resultReply, toXml, xml } from '@spectrum/xmpp'
import type { FrontendMetrics } from './metrics.ts'

export interface CanaryOptions {
  /** The instance's own domain: no person can own an address of it. */
  readonly domain: string
  /** Time between two lines. */
  readonly intervalMs: number
  /** What is not back within this time is lost. */
  readonly patienceMs: number
  /** Unique among processes and their lives. */
  readonly processId: string
  readonly router: Pick<Client<typeof RouterDefinition>, 'getRegistration' | 'register' | 'unregister'>
  readonly metrics: FrontendMetrics
  readonly log: Logger
  /** Whether this process speaks to the XMPP server now. */
  isActive(): boolean
  /** Writes a stanza to the XMPP server, which hands it back to us as to any component that it is for. */
  write(xml: string): void
}

const resource = 'canary'
/** Lines that came back, remembered to recognise one that comes back twice. */
const remembered = 10_000

/**
 * Plays a user who talks to the parrot and listens for the echo, through all that a line passes: XMPP server, frontend,
 * lane, worker, network, and back. Its address is the gateway's own domain with the resource `canary`.
 */
export class Canary implements AsyncDisposable {
  readonly #options: CanaryOptions
  readonly #jid: string
  readonly #contact: string
  /** Lines under way, by their text: when they were said. */
  readonly #waiting = new Map<string, number>()
  readonly #returned = new Set<string>()
  readonly #timer: NodeJS.Timeout
  #isSignedIn = false
  #isSigningIn = false
  #lines = 0

  constructor(options: CanaryOptions) {
    this.#options = options
    this.#jid = `${options.domain}/${resource}`
    this.#contact = `polly@${options.domain}`
    this.#timer = setInterval(() => this.#tick(), options.intervalMs)
  }

  /** Whether what a user sent is ours: then it takes the way of every other user's. */
  isFrom(stanza: Element): boolean {
    return stanza.attrs.from === this.#jid
  }

  /** Takes what is for the canary; false for everything else. */
  receive(stanza: Element): boolean {
    const { from, to, type } = stanza.attrs
    if (from === this.#jid || (to !== this.#jid && to !== this.#options.domain)) return false
    if (typeof from !== 'string' || parseJid(from)?.domain !== this.#options.domain) return false
    if (stanza.name === 'iq') {
      if (to !== this.#jid) return false
      // Whoever asks whether it is still there.
      if (type === 'get') this.#options.write(toXml(resultReply(stanza)))
    } else if (type === 'error') this.#refused(stanza)
    else if (stanza.name === 'message') this.#heard(stanza.getChildText('body') ?? '')
    return true
  }

  /** The account and the session of the canary go; its lines under way are not judged any more. */
  async [Symbol.asyncDispose](): Promise<void> {
    const { domain, router, log } = this.#options
    clearInterval(this.#timer)
    this.#waiting.clear()
    if (!this.#isSignedIn) return
    this.#isSignedIn = false
    // Not removed, it is there for the next frontend, or for the next time.
    await router
      .unregister({ user: domain }, { timeoutMs: 1_000 })
      .catch((error: unknown) => log.info({ err: error }, 'the account of the canary stays'))
  }

  #tick(): void {
    const { patienceMs, metrics, log } = this.#options
    const now = performance.now()
    for (const [line, saidAt] of this.#waiting) {
      if (now - saidAt < patienceMs) break
      this.#waiting.delete(line)
      metrics.canaryLost.inc()
      log.warn({ line }, 'a line of the canary did not come back')
    }
    if (!this.#options.isActive()) this.#isSignedIn = false
    else if (this.#isSignedIn) this.#say()
    else if (!this.#isSigningIn) void this.#signIn()
  }

  async #signIn(): Promise<void> {
    const { domain, router, log } = this.#options
    this.#isSigningIn = true
    try {
      const { isRegistered } = await router.getRegistration({ user: domain })
      if (!isRegistered)
        await router.register({ user: domain, username: resource, hasPassword: false, password: undefined })
      this.#options.write(toXml(xml('presence', { from: this.#jid, to: domain })))
      this.#isSignedIn = true
    } catch (error) {
      log.warn({ err: error, code: NetworkError.from(error).code }, 'the canary cannot be registered; trying again')
    } finally {
      this.#isSigningIn = false
    }
  }

  #say(): void {
    const line = `canary ${this.#options.processId} ${++this.#lines}`
    this.#waiting.set(line, performance.now())
    this.#options.metrics.canarySent.inc()
    const attributes = { from: this.#jid, to: this.#contact, type: 'chat', id: line }
    this.#options.write(toXml(xml('message', attributes, xml('body', {}, line))))
  }

  #heard(line: string): void {
    const { metrics } = this.#options
    const saidAt = this.#waiting.get(line)
    if (saidAt === undefined) {
      if (this.#returned.has(line)) metrics.canaryDoubled.inc()
      return
    }
    this.#waiting.delete(line)
    this.#returned.add(line)
    metrics.canaryLatency.observe((performance.now() - saidAt) / 1_000)
    if (this.#returned.size <= remembered) return
    for (const oldest of this.#returned) {
      this.#returned.delete(oldest)
      break
    }
  }

  /** Answered by an error, a line is not lost. Whatever the reason, signing in again is harmless and may mend it. */
  #refused(stanza: Element): void {
    const id = String(stanza.attrs.id ?? '')
    if (stanza.name === 'message' && !this.#waiting.delete(id)) return
    if (stanza.name === 'message') this.#options.metrics.canaryRefused.inc()
    this.#isSignedIn = false
  }
}
