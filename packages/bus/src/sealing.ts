import {
  createCipheriv,
  createDecipheriv,
  createPrivateKey,
  createPublicKey,
  diffieHellman,
  generateKeyPairSync,
  hkdfSync,
  type KeyObject,
  randomBytes,
} from 'node:crypto'

// X25519 (RFC 7748) with a one-time key, HKDF-SHA-256 (RFC 5869), AES-256-GCM.

/** Ciphertext is the one-time public key (32 bytes), then ciphertext and tag (16 bytes): the `Sealed` message. */
export interface SealedBox {
  nonce: Uint8Array
  ciphertext: Uint8Array
}

/** An X25519 key pair, raw, 32 bytes each. */
export interface SealingKeys {
  publicKey: Uint8Array
  privateKey: Uint8Array
}

const keyBytes = 32
const tagBytes = 16
const nonceBytes = 12
const purpose = Buffer.from('spectrum.v1.Sealed')

export function createSealingKeys(): SealingKeys {
  const { publicKey, privateKey } = generateKeyPairSync('x25519')
  return { publicKey: rawPublic(publicKey), privateKey: rawPrivate(privateKey) }
}

/** Encrypts so that only the holder of the private key reads it. Nothing is said about who sealed it. */
export function sealTo(publicKey: Uint8Array, plaintext: Uint8Array): SealedBox {
  const oneTime = generateKeyPairSync('x25519')
  const oneTimePublic = rawPublic(oneTime.publicKey)
  const secret = diffieHellman({ privateKey: oneTime.privateKey, publicKey: toPublicKey(publicKey) })
  const nonce = randomBytes(nonceBytes)
  const cipher = createCipheriv('aes-256-gcm', deriveKey(secret, oneTimePublic, publicKey), nonce)
  return {
    nonce,
    ciphertext: Buffer.concat([oneTimePublic, cipher.update(plaintext), cipher.final(), cipher.getAuthTag()]),
  }
}

/** @throws SealError when it was sealed to somebody else or was changed on the way */
export function openSealed(privateKey: Uint8Array, sealed: SealedBox): Uint8Array {
  const { nonce, ciphertext } = sealed
  if (nonce.length !== nonceBytes || ciphertext.length < keyBytes + tagBytes) throw new SealError('not a sealed box')
  const own = toPrivateKey(privateKey)
  const oneTimePublic = ciphertext.subarray(0, keyBytes)
  try {
    const secret = diffieHellman({ privateKey: own, publicKey: toPublicKey(oneTimePublic) })
    const key = deriveKey(secret, oneTimePublic, rawPublic(createPublicKey(own)))
    const decipher = createDecipheriv('aes-256-gcm', key, nonce, { authTagLength: tagBytes })
    decipher.setAuthTag(ciphertext.subarray(-tagBytes))
    return Buffer.concat([decipher.update(ciphertext.subarray(keyBytes, -tagBytes)), decipher.final()])
  } catch (cause) {
    throw new SealError('sealed to another key, or changed on the way', { cause })
  }
}

export class SealError extends Error {
  override name = 'SealError'
}

// Both public keys take part, so that a box means nothing under another pair.
function deriveKey(secret: Uint8Array, oneTimePublic: Uint8Array, publicKey: Uint8Array): Uint8Array {
  return new Uint8Array(hkdfSync('sha256', secret, Buffer.concat([oneTimePublic, publicKey]), purpose, keyBytes))
}

const rawPublic = (key: KeyObject): Uint8Array => Buffer.from(key.export({ format: 'jwk' }).x ?? '', 'base64url')
const rawPrivate = (key: KeyObject): Uint8Array => Buffer.from(key.export({ format: 'jwk' }).d ?? '', 'base64url')

function toPublicKey(raw: Uint8Array): KeyObject {
  return createPublicKey({
    key: { kty: 'OKP', crv: 'X25519', x: Buffer.from(raw).toString('base64url') },
    format: 'jwk',
  })
}

// The DER prefix of a PKCS#8 X25519 key (RFC 8410): a JWK would need the public half too.
const pkcs8Prefix = Buffer.from('302e020100300506032b656e04220420', 'hex')
function toPrivateKey(raw: Uint8Array): KeyObject {
  if (raw.length !== keyBytes) throw new SealError('not a private key')
  return createPrivateKey({ key: Buffer.concat([pkcs8Prefix, raw]), format: 'der', type: 'pkcs8' })
}
