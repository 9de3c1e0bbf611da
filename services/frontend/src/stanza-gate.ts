import { Standstill } from '@spectrum/service-kit'
import type { Element } from '@spectrum/xmpp'

export interface StanzaGateOptions {
  /** False while another process may speak for the component. */
  mayTake(): boolean
  onStanza(stanza: Element): void
  /** It came too late for us: whoever sent it has to know. */
  onRefused(stanza: Element): void
  /** Reading had better wait, or may go on. */
  onShut(isShut: boolean): void
  /** Milliseconds, monotonic. Default performance.now. */
  readonly now?: () => number
}

/** How often it is looked whether this process stands still, and whether the gate may be opened. */
const lookMs = 250
/** Sooner than the lease of what it owns runs out. */
const standstillMs = 3_000

/**
 * What a frontend reads after it stood still (SIGSTOP, a suspended machine) may be old: another frontend has perhaps had the component for
 * long, and has published what the same people said later. So after a standstill stanzas wait until it is certain whose the
 * component is; if it is not ours any more they are answered with an error.
 */
export class StanzaGate implements Disposable {
  readonly #options: StanzaGateOptions
  readonly #standstill: Standstill
  #held: Element[] = []
  #standstills = 0
  #isShut = false

  constructor(options: StanzaGateOptions) {
    this.#options = options
    const { now } = options
    this.#standstill = new Standstill({
      ...{ longerThanMs: standstillMs, everyMs: lookMs },
      ...(now === undefined ? {} : { now }),
    })
    this.#standstill.onLook(() => this.#look())
  }

  get isShut(): boolean {
    return this.#isShut
  }

  /** Whether what was read may go on; looks first, as whoever asks may be the first to act after a standstill. */
  get isOpen(): boolean {
    this.#look()
    return !this.#isShut
  }

  take(stanza: Element): void {
    // Whichever comes first after a standstill, the timer or what was read.
    if (!this.isOpen) this.#held.push(stanza)
    else this.#options.onStanza(stanza)
  }

  /** The component is somebody else's: what waits is refused. */
  refuse(): void {
    const held = this.#held
    this.#held = []
    this.#isShut = false
    for (const stanza of held) this.#options.onRefused(stanza)
  }

  [Symbol.dispose](): void {
    this.#standstill[Symbol.dispose]()
  }

  #look(): void {
    const { mayTake, onShut, onStanza } = this.#options
    const standstills = this.#standstill.count()
    const stoodStill = standstills > this.#standstills
    this.#standstills = standstills
    if (!this.#isShut) {
      if (!stoodStill || mayTake()) return
      this.#isShut = true
      return onShut(true)
    }
    if (!mayTake()) return
    const held = this.#held
    this.#held = []
    this.#isShut = false
    for (const stanza of held) onStanza(stanza)
    onShut(false)
  }
}
