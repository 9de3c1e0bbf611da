import { z } from 'zod'
import { canary } from './options/canary.ts'
import { database } from './options/database.ts'
import { identity } from './options/identity.ts'
import { launcher } from './options/launcher.ts'
import { logins } from './options/logins.ts'
import { nats } from './options/nats.ts'
import { grpc, http, log, tracing } from './options/operation.ts'
import { registration } from './options/registration.ts'
import { security } from './options/security.ts'
import { service } from './options/service.ts'
import { egress, frontend, worker } from './options/traffic.ts'
import { userSettings } from './options/user-settings.ts'

/** Every option that is acted on, by section: the one declaration that everything else here derives from. */
export const instanceSchema = z.object({
  service,
  identity,
  registration,
  database,
  security,
  nats,
  frontend,
  worker,
  egress,
  logins,
  launcher,
  log,
  http,
  grpc,
  tracing,
  canary,
  settings: userSettings,
})

/** The network that `service.backend` chose. */
export interface NetworkChoice {
  /** Id of a built-in network: `irc`, `parrot` … */
  readonly id: string
  /**
   * The network's own settings, parsed by its schema; empty where the network's schema was not given to `loadConfig`
   * (only workers have it).
   */
  readonly options: Readonly<Record<string, unknown>>
}

/** The configuration of one instance: frozen, complete with defaults, `config.service.usersPerBackend`. */
export type Config = DeepReadonly<z.output<typeof instanceSchema>> & { readonly network: NetworkChoice }

type DeepReadonly<T> = T extends readonly (infer Item)[]
  ? readonly DeepReadonly<Item>[]
  : T extends object
    ? { readonly [Key in keyof T]: DeepReadonly<T[Key]> }
    : T
