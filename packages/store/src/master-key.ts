import { createHash, randomBytes } from 'node:crypto'
import { link, mkdir, open, readFile, unlink } from 'node:fs/promises'
import { dirname } from 'node:path'
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

/** Reads the master key that lies beside a database file; makes one, readable by its owner only, when there is none. */
export async function masterKeyBeside(databaseFile: string): Promise<MasterKey> {
  const file = `${databaseFile}.key`
  const found = await readKey(file)
  if (found) return new MasterKey(found)
  await mkdir(dirname(file), { recursive: true, mode: 0o700 })
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
    if (!hasCode(error, 'EEXIST')) throw error
  } finally {
    await unlink(aside)
  }
  const key = await readKey(file)
  if (!key) throw new StoreRefusedError(`${file} vanished while it was made.`)
  return new MasterKey(key)
}

async function readKey(file: string): Promise<Buffer | undefined> {
  try {
    const key = Buffer.from((await readFile(file, 'utf8')).trim(), 'base64')
    if (key.length !== 32) throw new StoreRefusedError(`${file} does not hold a master key of 32 bytes in base64.`)
    return key
  } catch (error) {
    if (hasCode(error, 'ENOENT')) return undefined
    throw error
  }
}

function hasCode(error: unknown, code: string): boolean {
  return error instanceof Error && 'code' in error && error.code === code
}
