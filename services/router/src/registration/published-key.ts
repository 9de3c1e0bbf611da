import { type Bus, publicKeyKey, type ValueCodec } from '@spectrum/bus'

/** The record is the key itself: X25519, raw, 32 bytes. */
const rawKey: ValueCodec<Uint8Array> = { encode: value => value, decode: bytes => bytes }

/** Puts the instance's public key where frontends look for it, unless it is there. */
export async function publishKey(bus: Bus, instance: string, publicKey: Uint8Array): Promise<void> {
  const table = bus.table('keys', rawKey)
  const entry = await table.get(publicKeyKey(instance))
  if (entry && Buffer.from(entry.value).equals(publicKey)) return
  await table.put(publicKeyKey(instance), publicKey)
}
