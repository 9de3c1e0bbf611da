import { readFileSync } from 'node:fs'
import { ConfigError, loadConfig } from '@spectrum/config'
import type { Network } from '@spectrum/network'
import { runService } from '@spectrum/service-kit'
import { networks } from './networks.ts'
import { startWorker } from './service.ts'

const argv = process.argv.slice(2)
const { version } = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8')) as { version: string }

/** The network that the configuration names; undefined when it cannot be read, which is reported when it is read again. */
async function chosenNetwork(): Promise<Network | undefined> {
  try {
    return await networks[loadConfig({ argv }).config.network.id]?.()
  } catch (error) {
    if (error instanceof ConfigError) return undefined
    throw error
  }
}

const network = await chosenNetwork()
await runService({
  name: 'worker',
  version,
  config: () => loadConfig({ argv, networks: network === undefined ? [] : [network] }),
  start: context => {
    if (network === undefined) throw new Error(`this release has no network called ${context.config.network.id}`)
    return startWorker(context, { network, version })
  },
})
