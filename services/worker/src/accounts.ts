import { type Bus, type Client, createSealingKeys, openSealed, publicKeyKey, sealTo } from '@spectrum/bus'
import { Credentials, type RouterDefinition, type SealedCredentials } from '@spectrum/messages'
import { NetworkError } from '@spectrum/network'
import type { Accounts } from './sessions/context.ts'

type Router = Client<typeof RouterDefinition>

/** Accounts as the router keeps them. Secrets travel sealed to a key pair made for that one request. */
export function createAccounts(bus: Bus, router: Router, instance: string): Accounts {
  const keys = bus.table<Uint8Array>('keys', rawBytes)
  return {
    async fetch({ user, generation, link }) {
      const { publicKey, privateKey } = createSealingKeys()
      const request = { user, backend: link.number, epoch: link.epoch, generation, process: bus.processId }
      const sealed = await router
        .fetchCredentials({ ...request, publicKey: Buffer.from(publicKey) })
        .catch((error: unknown) => {
          throw toldOfRouter(error)
        })
      return Credentials.decode(open(privateKey, sealed))
    },
    async save({ user, link }, account) {
      const entry = await keys.get(publicKeyKey(instance))
      if (entry === undefined) throw new NetworkError('unavailable', 'The instance has no key yet.')
      const { nonce, ciphertext } = sealTo(entry.value, Credentials.encode(account).finish())
      const box = { nonce: Buffer.from(nonce), ciphertext: Buffer.from(ciphertext) }
      await router.saveCredentials({ user, backend: link.number, epoch: link.epoch, account: box })
    },
    async release({ user, generation, link }) {
      await router.release({ user, generation, backend: link.number })
    },
  }
}

/** Our own services are away, and nothing is wrong with the network. */
export class RouterAwayError extends NetworkError {
  override name = 'RouterAwayError'
}

function toldOfRouter(error: unknown): unknown {
  if (!(error instanceof NetworkError) || error.code !== 'unavailable') return error
  return new RouterAwayError('unavailable', `The router does not hand over the account yet: ${error.message}`, {
    cause: error,
  })
}

/** Opens what clients sealed to the instance; the private key is fetched once and kept in memory only. */
export class InstanceKey {
  readonly #bus: Bus
  readonly #router: Router
  #key: Promise<Uint8Array> | undefined

  constructor(bus: Bus, router: Router) {
    this.#bus = bus
    this.#router = router
  }

  async open(sealed: { nonce: Uint8Array; ciphertext: Uint8Array }): Promise<string> {
    this.#key ??= this.#fetch()
    try {
      return Buffer.from(openSealed(await this.#key, sealed)).toString('utf8')
    } catch (error) {
      // The next one asks again: the router may have been away, or the key is another by now.
      this.#key = undefined
      throw error instanceof NetworkError
        ? error
        : new NetworkError('not-acceptable', 'The password cannot be read.', { cause: error })
    }
  }

  async #fetch(): Promise<Uint8Array> {
    const { publicKey, privateKey } = createSealingKeys()
    const request = { process: this.#bus.processId, publicKey: Buffer.from(publicKey) }
    return open(privateKey, await this.#router.fetchInstanceKey(request))
  }
}

function open(privateKey: Uint8Array, { publicKey, nonce, ciphertext }: SealedCredentials): Uint8Array {
  return openSealed(privateKey, { nonce, ciphertext: Buffer.concat([publicKey, ciphertext]) })
}

const rawBytes = { encode: (value: Uint8Array) => value, decode: (bytes: Uint8Array) => bytes }
