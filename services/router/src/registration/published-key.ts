import { type Bus, protoValue, publicKeyKey } from '@spectrum/bus'
import { InstancePublicKey } from '@spectrum/messages'

/** Puts the instance's public key where frontends look for it, unless it is there. */
export async function publishKey(bus: Bus, instance: string, publicKey: Uint8Array): Promise<void> {
  const table = bus.table('keys', protoValue(InstancePublicKey))
  const entry = await table.get(publicKeyKey(instance))
  if (entry && Buffer.from(entry.value.publicKey).equals(publicKey)) return
  await table.put(publicKeyKey(instance), InstancePublicKey.create({ publicKey: Buffer.from(publicKey) }))
}
