import type { Client, Table } from '@spectrum/bus'
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
  /** Where the next frontend finds what was under way when this one died. */
  readonly record: { readonly table: Table<CanaryRecord>; readonly key: string }
  readonly metrics: FrontendMetrics
  readonly log: Logger
  /** Whether this process speaks to the XMPP server now. */
  isActive(): boolean
  /** Writes a stanza to the XMPP server, which hands it back to us as to any component that it is for. */
  write(xml: string): void
}

/** Lines under way: each with its text, and when it was said by the wall clock, in milliseconds. */
export interface CanaryRecord {
  readonly waiting: readonly (readonly [line: string, saidAt: number])[]
}

const resource = 'canary'
/** Lines that came back, remembered to recognise one that comes back twice. */
const remembered = 10_000

/**
 * Plays a user who talks to the parrot and listens for the echo, through all that a line passes: XMPP server, frontend,
 * lane, worker, network, and back. Its address is the gateway's own domain with the resource `canary`.
 *
 * What is under way is recorded: the frontend that becomes active adopts the lines, and its account, of one that was
 * killed, and counts them as lost unless they come back.
 */
export class Canary implements AsyncDisposable {
  readonly #options: CanaryOptions
  readonly #jid: string
  readonly #contact: string
  /** Lines under way, by their text: when they were said. By the wall clock, as the next frontend may judge them. */
  readonly #waiting = new Map<string, number>()
  readonly #returned = new Set<string>()
  readonly #timer: NodeJS.Timeout
  #isSignedIn = false
  #isSigningIn = false
  /** Others may have spoken since this process was active. */
  #mayAdopt = true
  #isRecording = false
  #isRecordStale = false
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
    this.#recordWaiting()
    // Not removed, it is there for the next frontend, or for the next time.
    await router
      .unregister({ user: domain }, { timeoutMs: 1_000 })
      .catch((error: unknown) => log.info({ err: error }, 'the account of the canary stays'))
  }

  #tick(): void {
    const { patienceMs, metrics, log } = this.#options
    // Whoever is active next, perhaps this process again, finds in the record what is under way.
    if (!this.#options.isActive()) {
      this.#isSignedIn = false
      this.#mayAdopt = true
      this.#waiting.clear()
      return
    }
    const now = Date.now()
    for (const [line, saidAt] of this.#waiting) {
      if (now - saidAt < patienceMs) continue
      this.#waiting.delete(line)
      this.#recordWaiting()
      metrics.canaryLost.inc()
      log.warn({ line }, 'a line of the canary did not come back')
    }
    if (this.#isSignedIn) this.#say()
    else if (!this.#isSigningIn) void this.#signIn()
  }

  async #signIn(): Promise<void> {
    const { domain, router, log } = this.#options
    this.#isSigningIn = true
    try {
      const { isRegistered } = await router.getRegistration({ user: domain })
      if (!isRegistered) {
        await router.register({ user: domain, username: resource, hasPassword: false, password: undefined })
        log.info({ user: domain }, 'the canary has registered a user of its own')
      }
      if (this.#mayAdopt) await this.#adopt()
      this.#mayAdopt = false
      this.#options.write(toXml(xml('presence', { from: this.#jid, to: domain })))
      this.#isSignedIn = true
    } catch (error) {
      log.warn({ err: error, code: NetworkError.from(error).code }, 'the canary cannot be registered; trying again')
    } finally {
      this.#isSigningIn = false
    }
  }

  /** Those of a frontend that died, and those that were under way when this one lost its stream. */
  async #adopt(): Promise<void> {
    const { table, key } = this.#options.record
    const found = await table.get(key)
    for (const [line, saidAt] of found?.value.waiting ?? [])
      if (!this.#returned.has(line)) this.#waiting.set(line, saidAt)
  }

  /** The latest state, one write at a time. */
  #recordWaiting(): void {
    this.#isRecordStale = true
    if (!this.#isRecording) void this.#writeRecord()
  }

  async #writeRecord(): Promise<void> {
    const { record, log } = this.#options
    this.#isRecording = true
    try {
      while (this.#isRecordStale) {
        this.#isRecordStale = false
        await record.table.put(record.key, { waiting: [...this.#waiting] })
      }
    } catch (error) {
      log.info({ err: error }, 'what the canary has said is not recorded; trying again with its next line')
    } finally {
      this.#isRecording = false
    }
  }

  #say(): void {
    const line = `canary ${this.#options.processId} ${++this.#lines}`
    this.#waiting.set(line, Date.now())
    this.#recordWaiting()
    this.#options.metrics.canarySent.inc()
    const attributes = { from: this.#jid, to: this.#contact, type: 'chat', id: line }
    this.#options.write(toXml(xml('message', attributes, xml('body', {}, line))))
  }

  #heard(line: string): void {
    const { metrics } = this.#options
    const saidAt = this.#waiting.get(line)
    if (saidAt === undefined) {
      if (this.#returned.has(line)) metrics.canaryDoubled.inc()
      // Perhaps of a frontend that died, and to be adopted in a moment.
      else this.#remember(line)
      return
    }
    this.#waiting.delete(line)
    this.#recordWaiting()
    this.#remember(line)
    metrics.canaryLatency.observe(Math.max(0, Date.now() - saidAt) / 1_000)
  }

  #remember(line: string): void {
    this.#returned.add(line)
    if (this.#returned.size <= remembered) return
    for (const oldest of this.#returned) {
      this.#returned.delete(oldest)
      break
    }
  }

  /** Answered by an error, a line is not lost. Whatever the reason, signing in again is harmless and may mend it. */
  #refused(stanza: Element): void {
    const id = String(stanza.attrs.id ?? '')
    if (stanza.name === 'message') {
      if (!this.#waiting.delete(id)) return
      this.#recordWaiting()
      this.#options.metrics.canaryRefused.inc()
    }
    this.#isSignedIn = false
  }
}
