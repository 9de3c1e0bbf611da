import type { Address, Command, SendMessage } from '@spectrum/messages'
import { SendMessage_Kind } from '@spectrum/messages'

/** What an error for a message needs. */
export interface SentStanza {
  readonly key: string
  readonly stanzaId: string
  readonly resource: string
  readonly to: Address | undefined
  readonly isGroupchat: boolean
}

/** Messages of a session that the network may still refuse; the oldest are forgotten. */
const maxSent = 64

/** Which stanza a message was, for networks that refuse it after they took it. In memory only: a restart forgets it. */
export class SentMessages {
  readonly #ring: SentStanza[] = []
  #next = 0

  remember({ key, stanzaId, resource }: Command, { to, kind }: SendMessage): void {
    const isGroupchat = kind === SendMessage_Kind.KIND_GROUPCHAT
    this.#ring[this.#next] = { key, stanzaId, resource, to, isGroupchat }
    this.#next = (this.#next + 1) % maxSent
  }

  find(key: string): SentStanza | undefined {
    return this.#ring.find(sent => sent.key === key)
  }
}
