import { loadConfig } from '@spectrum/config'
import { runService } from '@spectrum/service-kit'
import { startFrontend } from './service.ts'
import { version } from './version.ts'

await runService({
  name: 'frontend',
  version,
  config: () => loadConfig({ argv: process.argv.slice(2), required: ['service.password'] }),
  start: startFrontend,
})
