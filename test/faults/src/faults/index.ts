import type { Fault } from '../run.ts'
import { natsFull } from './disk.ts'
import { killFrontendEjabberd, stopFrontendEjabberd } from './ejabberd.ts'
import { killNats, killNatsNode, natsAway } from './nats.ts'
import { poisonCommand, poisonStanza } from './poison.ts'
import { killProsody, resetComponent, restartEjabberd, restartProsody } from './prosody.ts'
import { freezeFrontend, killFrontend, killPostgres, killRouters } from './services.ts'
import {
  cutWorker,
  freezeWorker,
  killWorker,
  killWorkerErgo,
  killWorkers,
  killWorkersErgo,
  rollingUpgrade,
  rollingUpgradeErgo,
} from './workers.ts'

/** Every row of the table, those that share a system side by side. */
export const faults: readonly Fault[] = [
  killWorker,
  killWorkers,
  rollingUpgrade,
  killFrontend,
  killRouters,
  killNats,
  natsAway,
  killPostgres,
  freezeWorker,
  freezeFrontend,
  cutWorker,
  restartProsody,
  killProsody,
  resetComponent,
  killWorkerErgo,
  killWorkersErgo,
  rollingUpgradeErgo,
  killFrontendEjabberd,
  stopFrontendEjabberd,
  restartEjabberd,
  killNatsNode,
  natsFull,
  poisonStanza,
  poisonCommand,
]
