// AES-256-GCM as stored: version (1 byte), nonce (12), ciphertext, tag (16).
import { createCipheriv, createDecipheriv, randomBytes } from 'node:crypto'
import { UnsealError } from './store-error.ts'

const version = 1
const nonceBytes = 12
const tagBytes = 16

/** Seals `plain`; `context` is authenticated with it and must be given again to open it. */
export function seal(key: Uint8Array, plain: Uint8Array, context: readonly string[]): Uint8Array<ArrayBuffer> {
  const nonce = randomBytes(nonceBytes)
  const cipher = createCipheriv('aes-256-gcm', key, nonce).setAAD(toBytes(context))
  return Uint8Array.from(
    Buffer.concat([Buffer.of(version), nonce, cipher.update(plain), cipher.final(), cipher.getAuthTag()]),
  )
}

/** @throws UnsealError for another key, another context, or altered bytes */
export function unseal(key: Uint8Array, sealed: Uint8Array, context: readonly string[]): Buffer {
  if (sealed[0] !== version || sealed.length < 1 + nonceBytes + tagBytes) {
    throw new UnsealError('A stored secret is in no known form.')
  }
  const nonce = sealed.subarray(1, 1 + nonceBytes)
  const decipher = createDecipheriv('aes-256-gcm', key, nonce, { authTagLength: tagBytes })
  decipher.setAAD(toBytes(context)).setAuthTag(sealed.subarray(-tagBytes))
  const head = decipher.update(sealed.subarray(1 + nonceBytes, -tagBytes))
  try {
    return Buffer.concat([head, decipher.final()])
  } catch (error) {
    throw new UnsealError('A stored secret does not open with this master key.', { cause: error })
  } finally {
    head.fill(0)
  }
}

/** Unambiguous, whatever the parts contain. */
const toBytes = (context: readonly string[]) => Buffer.from(JSON.stringify(context))
