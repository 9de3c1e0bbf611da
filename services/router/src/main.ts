import { loadConfig } from '@spectrum/config'
import { runService } from '@spectrum/service-kit'
import { startRouter, version } from './service.ts'

await runService({
  name: 'router',
  version,
  config: () => loadConfig({ argv: process.argv.slice(2) }),
  start: startRouter,
})
