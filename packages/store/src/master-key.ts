import { createHash, randomBytes } from 'node:crypto'
import { link, open, readFile, unlink } from 'node:fs/promises'
import { seal, unseal } from './sealing.ts'
import { StoreRefusedError } from './store-error.ts'

/** Something stored under a data key of its own, which itself is stored under the master key. */
export interface Envelope {
  readonly secret: Uint8Array<ArrayBuffer>
  readonly dataKey: Uint8Array<ArrayBuffer>
  /** Fingerprint of the master key. */
  readonly masterKey: string
}

/**
 * Seals secrets for the database. Each is bound to what it is, its instance and its user: a row copied to another user
 * does not open there.
 */
export class MasterKey {
  /** Tells master keys apart without revealing them. */
  readonly fingerprint: string
  readonly #key: Uint8Array

  /** @param key 32 bytes */
  constructor(key: Uint8Array) {
    if (key.length !== 32) throw new StoreRefusedError('The master key must have 32 bytes.')
    this.#key = key
    this.fingerprint = createHash('sha256').update('spectrum master key').update(key).digest('hex').slice(0, 16)
  }

  seal(secret: Uint8Array, what: string, instance: string, user: string): Envelope {
    const dataKey = randomBytes(32)
    const envelope = {
      secret: seal(dataKey, secret, [what, instance, user]),
      dataKey: seal(this.#key, dataKey, [`${what} key`, instance, user]),
      masterKey: this.fingerprint,
    }
    dataKey.fill(0)
    return envelope
  }

  /** @throws UnsealError when it was sealed with another key, for another user, or altered */
  unseal(envelope: Envelope, what: string, instance: string, user: string): Buffer {
    const dataKey = unseal(this.#key, envelope.dataKey, [`${what} key`, instance, user])
    const secret = unseal(dataKey, envelope.secret, [what, instance, user])
    dataKey.fill(0)
    return secret
  }
}

/** The key that lies in `file`; undefined when there is no such file. */
export async function readMasterKey(file: string): Promise<MasterKey | undefined> {
  try {
    const text = (await readFile(file, 'utf8')).trim()
    const key = Buffer.from(text, /^[0-9a-f]{64}$/i.test(text) ? 'hex' : 'base64')
    if (key.length === 32) return new MasterKey(key)
  } catch (error) {
    const code = codeOf(error)
    if (code === 'ENOENT') return undefined
    throw new StoreRefusedError(`The master key in ${file} cannot be read (${code}).`, { cause: error })
  }
  throw new StoreRefusedError(`${file} does not hold a master key of 32 bytes in base64 or hexadecimal.`)
}

/** Puts a new key into `file`, readable by its owner only, and returns what lies there then. */
export async function makeMasterKey(file: string): Promise<MasterKey> {
  // Written aside and linked into place, so that nobody ever reads half a key and of two makers one wins.
  const aside = `${file}.${randomBytes(6).toString('hex')}`
  const handle = await open(aside, 'wx', 0o600)
  try {
    await handle.writeFile(`${randomBytes(32).toString('base64')}\n`)
    await handle.sync()
  } finally {
    await handle.close()
  }
  try {
    await link(aside, file)
  } catch (error) {
    if (codeOf(error) !== 'EEXIST') throw error
  } finally {
    await unlink(aside)
  }
  const key = await readMasterKey(file)
  if (!key) throw new StoreRefusedError(`${file} vanished while it was made.`)
  return key
}

const codeOf = (error: unknown): unknown => (error instanceof Error && 'code' in error ? error.code : 'unknown error')
