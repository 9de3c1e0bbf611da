import { type Bus, publicKeyKey, sealTo, type ValueCodec } from '@spectrum/bus'
import type { Sealed } from '@spectrum/messages'
import { NetworkError } from '@spectrum/network'

/** The record is the key itself: X25519, raw, 32 bytes. */
const rawKey: ValueCodec<Uint8Array> = { encode: value => value, decode: bytes => bytes }

/** The public half of the instance's key: what is sealed to it, only routers and workers can open. */
export class InstanceKey {
  #publicKey: Uint8Array | undefined
  #watch: Disposable | undefined

  async start(bus: Bus, instance: string): Promise<void> {
    const key = publicKeyKey(instance)
    this.#watch = await bus.table('keys', rawKey).watch('', (changed, entry) => {
      if (changed === key && entry?.value.length === 32) this.#publicKey = entry.value
    })
  }

  /** @throws NetworkError `unavailable` while no router has published the key */
  seal(plaintext: string): Sealed {
    if (this.#publicKey === undefined) throw new NetworkError('unavailable', 'The gateway is starting; try again soon.')
    const { nonce, ciphertext } = sealTo(this.#publicKey, Buffer.from(plaintext))
    return { nonce: Buffer.from(nonce), ciphertext: Buffer.from(ciphertext) }
  }

  [Symbol.dispose](): void {
    this.#watch?.[Symbol.dispose]()
  }
}
