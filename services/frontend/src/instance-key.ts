import { type Bus, protoValue, publicKeyKey, sealTo } from '@spectrum/bus'
import { InstancePublicKey, type Sealed } from '@spectrum/messages'
import { NetworkError } from '@spectrum/network'

/** The public half of the instance's key: what is sealed to it, only routers and workers can open. */
export class InstanceKey {
  #publicKey: Uint8Array | undefined
  #watch: Disposable | undefined

  async start(bus: Bus, instance: string): Promise<void> {
    const key = publicKeyKey(instance)
    this.#watch = await bus.table('keys', protoValue(InstancePublicKey)).watch('', (changed, entry) => {
      if (changed === key && entry !== undefined) this.#publicKey = entry.value.publicKey
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
