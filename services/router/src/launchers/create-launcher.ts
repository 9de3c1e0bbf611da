import { fileURLToPath } from 'node:url'
import type { Bus } from '@spectrum/bus'
import { type Config, workerCommand } from '@spectrum/config'
import type { Logger } from '@spectrum/network'
import { externalLauncher } from './external.ts'
import { KubernetesLauncher } from './kubernetes-launcher.ts'
import type { Launcher } from './launcher.ts'
import { ProcessLauncher } from './process-launcher.ts'

/** The worker's program as it lies beside the router's, in the source tree as in the images. */
const workerProgram = fileURLToPath(new URL('../../../worker/src/main.ts', import.meta.url))

export interface LauncherParts {
  readonly config: Config
  readonly bus: Bus
  readonly log: Logger
  /** The router's own words behind its program: its workers get the same configuration. */
  readonly argv: readonly string[]
  readonly count: (what: 'stopped' | 'crashed' | 'up' | 'down' | 'failed') => void
}

/** The launcher that `launcher.type` names. */
export function createLauncher({ config, bus, log, argv, count }: LauncherParts): Launcher {
  const { launcher, nats, service } = config
  const idleMs = launcher.idleTime * 1000
  switch (launcher.type) {
    case 'external':
      return externalLauncher
    case 'kubernetes':
      return new KubernetesLauncher({ ...launcher, idleMs, log, onScaled: count })
    case 'process': {
      const marks = [workerProgram, '--launcher.type=process', `--service.jid=${service.jid}`]
      const seed = launcher.workerNkeySeed
      if (nats.nkeySeed !== undefined && seed === undefined)
        log.warn({}, 'launcher.worker_nkey_seed is missing: NATS will not let the workers in that are started here')
      const firstPort = launcher.workerHttpPort
      return new ProcessLauncher({
        owners: bus.owners,
        self: bus.processId,
        marks,
        idleMs,
        log,
        onExit: count,
        // By its port, which is what must be free: also where the first one was another when it was started.
        placeOf: argv => (firstPort === 0 ? undefined : httpPortIn(argv) - firstPort),
        program(place) {
          const port = firstPort === 0 ? 0 : firstPort + place
          const command = workerCommand(argv, {
            'service.jid': service.jid,
            'launcher.type': 'process',
            'http.port': String(port),
            ...(seed === undefined ? {} : { 'nats.nkey_seed': seed }),
          })
          return { command: process.execPath, argv: [workerProgram, ...command.argv], env: command.env }
        },
      })
    }
  }
}

/** As `program` writes it. */
function httpPortIn(argv: readonly string[]): number {
  const flag = '--http.port='
  return Number(argv.findLast(word => word.startsWith(flag))?.slice(flag.length))
}
