import type { Address, Command } from '@spectrum/messages'

interface Expected {
  readonly from: Address
  readonly stanzaId: string
  readonly resource: string
}

/** Most messages of a session whose receipts are waited for; the oldest are given up. */
const maxExpected = 256

/** XEP-0184: which stanza a receipt of the network belongs to. In memory only: after a crash a late receipt is lost. */
export class Receipts {
  readonly #expected = new Map<string, Expected>()

  expect({ key, stanzaId, resource }: Command, from: Address): void {
    if (stanzaId === '') return
    this.#expected.set(key, { from, stanzaId, resource })
    if (this.#expected.size <= maxExpected) return
    for (const oldest of this.#expected.keys()) {
      this.#expected.delete(oldest)
      return
    }
  }

  /** Once for each key. */
  take(key: string): Expected | undefined {
    const expected = this.#expected.get(key)
    this.#expected.delete(key)
    return expected
  }
}
