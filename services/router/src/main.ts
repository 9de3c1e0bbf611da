import { loadConfig } from '@spectrum/config'
import { runService } from '@spectrum/service-kit'
import { startRouter, version } from './service.ts'

const argv = process.argv.slice(2)

await runService({
  name: 'router',
  version,
  config: () => loadConfig({ argv }),
  start: context => startRouter(context, argv),
})
