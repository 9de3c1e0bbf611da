import { constraintOf, type Database, inTime } from './database.ts'
import type { MasterKey } from './master-key.ts'

/** An X25519 key pair, each half raw, 32 bytes. */
export interface KeyPair {
  readonly publicKey: Uint8Array
  readonly privateKey: Uint8Array
}

const purpose = 'instance key'

/** The key pair that the routers of an instance share. */
export class InstanceKeys {
  readonly #database: Database
  readonly #masterKey: MasterKey
  readonly #instance: string

  constructor(database: Database, masterKey: MasterKey, instance: string) {
    this.#database = database
    this.#masterKey = masterKey
    this.#instance = instance
  }

  /** The stored pair; undefined before the first. Rejects UnsealError under a wrong master key. */
  async find(): Promise<KeyPair | undefined> {
    const row = await inTime(this.#database.client.instanceKey.findUnique({ where: { instance: this.#instance } }))
    if (!row) return undefined
    const privateKey = this.#masterKey.unseal({ ...row, secret: row.privateKey }, purpose, this.#instance, '')
    return { publicKey: row.publicKey, privateKey }
  }

  /** The stored pair, or `create()`, stored now; the first of several routers wins. */
  async findOrCreate(create: () => KeyPair): Promise<KeyPair> {
    const found = await this.find()
    if (found) return found
    const { publicKey, privateKey } = create()
    const { secret, ...envelope } = this.#masterKey.seal(privateKey, purpose, this.#instance, '')
    const data = { instance: this.#instance, publicKey: Uint8Array.from(publicKey), privateKey: secret, ...envelope }
    try {
      await inTime(this.#database.client.instanceKey.create({ data }))
    } catch (error) {
      if (constraintOf(error) !== 'unique') throw error
    }
    const stored = await this.find()
    if (!stored) throw new Error('the instance key vanished while it was made')
    return stored
  }
}
