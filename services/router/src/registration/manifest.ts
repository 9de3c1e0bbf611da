import { type Bus, manifestKey, protoValue } from '@spectrum/bus'
import { InstanceManifest } from '@spectrum/messages'
import { NetworkError, type NetworkManifest } from '@spectrum/network'

/**
 * What the instance's network says of registration; workers publish it when they have loaded the network.
 * @throws NetworkError `unavailable` before the first worker has
 */
export async function registrationManifest(bus: Bus, instance: string): Promise<NetworkManifest['registration']> {
  const entry = await bus.table('manifests', protoValue(InstanceManifest)).get(manifestKey(instance))
  if (!entry) throw new NetworkError('unavailable', 'The gateway has not loaded its network yet; please try again.')
  const manifest: Partial<NetworkManifest> = JSON.parse(entry.value.manifestJson)
  // A network that says nothing is taken for the strictest.
  const { isRequired = true, needsPassword = true, usernamePattern } = manifest.registration ?? {}
  return { isRequired, needsPassword, ...(usernamePattern === undefined ? {} : { usernamePattern }) }
}
