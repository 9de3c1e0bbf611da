// The only functions in which a password exists in the clear. Bytes are wiped where they are ours; strings cannot be.
import { openSealed, sealTo } from '@spectrum/bus'
import { Credentials, type Sealed, SealedCredentials } from '@spectrum/messages'
import { NetworkError } from '@spectrum/network'
import type { Account, StoredContact } from '@spectrum/store'
import { assertPassword } from './rules.ts'

const keyBytes = 32

/** What is stored of an account besides its name, as the store seals it: the secret fields of Credentials. */
export type Secret = Uint8Array

/** A secret without a password. */
export const emptySecret = (): Secret => Credentials.encode(Credentials.create()).finish()

/**
 * The password that a frontend sealed to this instance, as it is stored.
 * @throws NetworkError `not-acceptable` for an empty one, `bad-request` when it was not sealed to us
 */
export function receivePassword(privateKey: Uint8Array, sealed: Sealed): Secret {
  const bytes = open(privateKey, sealed)
  try {
    const password = decodeUtf8(bytes)
    assertPassword(password)
    return Credentials.encode(Credentials.create({ password, hasPassword: true })).finish()
  } finally {
    bytes.fill(0)
  }
}

/** What is stored with the changes that a network asked for (a renewed token): a Credentials message, sealed to us. */
export function changeSecret(secret: Secret, privateKey: Uint8Array, sealed: Sealed): Secret {
  const bytes = open(privateKey, sealed)
  try {
    const stored = Credentials.decode(secret)
    const change = Credentials.decode(bytes)
    const { password, hasPassword } = change.hasPassword ? change : stored
    return Credentials.encode(
      Credentials.create({ password, hasPassword, extraJson: change.extraJson || stored.extraJson }),
    ).finish()
  } finally {
    bytes.fill(0)
  }
}

/** All that a worker needs to sign the user in, readable by the asking process only. */
export function handOut(
  opened: { account: Account; secret: Secret },
  settings: Record<string, string>,
  contacts: readonly StoredContact[],
  publicKey: Uint8Array,
): SealedCredentials {
  const bytes = Credentials.encode({
    ...Credentials.decode(opened.secret),
    username: opened.account.username,
    settings,
    contacts: contacts.map(({ name, alias, groups }) => ({ name, alias, groups: [...groups] })),
  }).finish()
  opened.secret.fill(0)
  return sealedFor(publicKey, bytes)
}

/** Seals to a key that was made for this request, and wipes what was sealed. */
export function sealedFor(publicKey: Uint8Array, bytes: Uint8Array): SealedCredentials {
  if (publicKey.length !== keyBytes) throw new NetworkError('bad-request', 'This is no X25519 public key.')
  try {
    const { nonce, ciphertext } = sealTo(publicKey, bytes)
    const box = Buffer.from(ciphertext)
    return SealedCredentials.create({
      publicKey: box.subarray(0, keyBytes),
      nonce: Buffer.from(nonce),
      ciphertext: box.subarray(keyBytes),
    })
  } finally {
    bytes.fill(0)
  }
}

function open(privateKey: Uint8Array, sealed: Sealed): Uint8Array {
  try {
    return openSealed(privateKey, sealed)
  } catch (error) {
    throw new NetworkError('bad-request', 'The password was not sealed to this gateway.', { cause: error })
  }
}

function decodeUtf8(bytes: Uint8Array): string {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes)
  } catch (error) {
    throw new NetworkError('not-acceptable', 'This password is not text.', { cause: error })
  }
}
