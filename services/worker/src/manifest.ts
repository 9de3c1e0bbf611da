import { setTimeout as delay } from 'node:timers/promises'
import { type Bus, manifestKey, protoValue } from '@spectrum/bus'
import { InstanceManifest } from '@spectrum/messages'
import type { Logger, Network, NetworkManifest } from '@spectrum/network'

const retryMs = 1_000

/**
 * Tells the other services what the instance's network can do, now and after each reconnect: a server that comes back may
 * have lost what it stored, and the router may still have to make the table. Tries until it is stored.
 */
export async function keepManifest(
  bus: Bus,
  instance: string,
  network: Network,
  manifest: NetworkManifest,
  log: Logger,
): Promise<Disposable> {
  const table = bus.table('manifests', protoValue(InstanceManifest))
  const value = { network: network.id, manifestJson: JSON.stringify(manifest) }
  const store = () => table.put(manifestKey(instance), value)
  const ended = new AbortController()
  let isTrying = false

  async function storeAgain(): Promise<void> {
    if (isTrying) return
    isTrying = true
    for (let isTold = false; !ended.signal.aborted; isTold = true) {
      try {
        await store()
        break
      } catch (error) {
        if (!isTold) log.warn({ err: error }, 'the manifest is not stored yet, trying on')
        // Aborting is the one way in which this wait fails.
        await delay(retryMs, undefined, { signal: ended.signal, ref: false }).catch(() => undefined)
      }
    }
    isTrying = false
  }

  await store()
  const listener = bus.onConnection(isConnected => {
    if (isConnected) void storeAgain()
  })
  return {
    [Symbol.dispose]() {
      ended.abort()
      listener[Symbol.dispose]()
    },
  }
}
