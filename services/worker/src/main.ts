import { readFileSync } from 'node:fs'
import { ConfigError, loadConfig } from '@spectrum/config'
import type { Network } from '@spectrum/network'
import { runService } from '@spectrum/service-kit'
import { networks } from './networks.ts'
import { startWorker } from './service.ts'

const argv = process.argv.slice(2)
const { version } = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8')) as { version: string }

/**
 * The network that the configuration names. With a configuration that cannot be used all of them: it is read again, and then
 * the mistakes in a network's own options are told with the others.
 */
async function candidates(): Promise<Network[]> {
  try {
    const network = await networks[loadConfig({ argv }).config.network.id]?.()
    return network === undefined ? [] : [network]
  } catch (error) {
    if (error instanceof ConfigError) return Promise.all(Object.values(networks).map(load => load()))
    throw error
  }
}

const known = await candidates()
await runService({
  name: 'worker',
  version,
  config: () => loadConfig({ argv, networks: known }),
  start: context => {
    const network = known.find(({ id }) => id === context.config.network.id)
    if (network === undefined) throw new Error(`this release has no network called ${context.config.network.id}`)
    return startWorker(context, { network, version })
  },
})
