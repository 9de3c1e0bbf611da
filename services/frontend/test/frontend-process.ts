import { loadConfig } from '@spectrum/config'
import { createLogger, Registry, type RunningService } from '@spectrum/service-kit'
import { startFrontend } from '../src/service.ts'

/** Where a frontend under test connects to. */
export interface Surroundings {
  readonly jid: string
  readonly secret: string
  readonly natsUrl: string
  readonly componentPort: number
}

/** Its settings as flags. */
export const flagsOf = ({ jid, secret, natsUrl, componentPort }: Surroundings): string[] => [
  `--service.jid=${jid}`,
  `--service.password=${secret}`,
  '--service.backend=irc',
  `--service.port=${componentPort}`,
  `--nats.servers=${natsUrl}`,
]

/** A frontend in this process, as runService builds it. */
export async function startInProcess(surroundings: Surroundings): Promise<RunningService & { registry: Registry }> {
  const { config } = loadConfig({ argv: flagsOf(surroundings), env: {} })
  const registry = new Registry()
  const log = createLogger({ level: 'error' })
  const service = await startFrontend({ config, log, registry, stopping: new AbortController().signal })
  return Object.assign(service, { registry })
}
