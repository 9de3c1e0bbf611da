import { randomUUID } from 'node:crypto'
import { readFileSync } from 'node:fs'
import {
  type Bus,
  connectBus,
  createSealingKeys,
  instanceKey,
  leaderResource,
  type Owners,
  type Ownership,
} from '@spectrum/bus'
import type { Config } from '@spectrum/config'
import { RouterDefinition, StopSession_Reason } from '@spectrum/messages'
import { NetworkError } from '@spectrum/network'
import { busCounter, type RunningService, type ServiceContext } from '@spectrum/service-kit'
import { type KeyPair, openStore, type Store } from '@spectrum/store'
import { adminMethods } from './admin/admin-methods.ts'
import { AdminServer, assertLoopback } from './admin/admin-server.ts'
import { guarded, OpenRequests, type RequestWatch } from './api/guard.ts'
import { leaderApi, usersApi } from './api/users.ts'
import { workersApi } from './api/workers.ts'
import { storeOptions } from './config.ts'
import { DatabaseWatch } from './database-watch.ts'
import { governorApi } from './governor/governor-api.ts'
import type { LoginGovernor } from './governor/login-governor.ts'
import { startGovernor } from './governor/start-governor.ts'
import { createLauncher } from './launchers/create-launcher.ts'
import { workersFor } from './launchers/launcher.ts'
import { Staffing } from './launchers/staffing.ts'
import { defineRouterMetrics, type RouterMetrics } from './metrics.ts'
import { busyBackends } from './placement/busy-lanes.ts'
import { LeaderCalls } from './placement/leader-calls.ts'
import { LeaderTerm } from './placement/leader-term.ts'
import { Leadership } from './placement/leadership.ts'
import { Occupancy } from './placement/occupancy.ts'
import { StartSessions } from './placement/start-sessions.ts'
import { Upkeep } from './placement/upkeep.ts'
import { registrationManifest } from './registration/manifest.ts'
import { publishKey } from './registration/published-key.ts'
import { Registrar } from './registration/registrar.ts'
import { RestoreSessions } from './write-behind/restore-sessions.ts'
import { saveSessionsApi } from './write-behind/save-sessions.ts'

/** Of this release; shown to administrators. */
export const version: string = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8')).version

/** How long requests under way are waited for when the router stops. */
const drainMs = 8_000

const keptNowhere =
  'accounts are kept in memory and lost when the router ends: set database.type to sqlite3 or pqxx in [database] to keep them'

/** A router that runs. */
export interface RunningRouter extends RunningService {
  /** Where the admin API listens. */
  readonly adminPort: number
  readonly processId: string
  readonly isLeader: boolean
}

/**
 * Builds a router; fulfils when it answers requests. The first one of an instance soon leads.
 *
 * @param argv - the words behind the program, for workers that are started from here
 */
export async function startRouter(context: ServiceContext, argv: readonly string[] = []): Promise<RunningRouter> {
  const { config, log, registry, stopping } = context
  assertLoopback(config.grpc.host)
  await using parts = new AsyncDisposableStack()

  let owners: Owners | undefined
  let database: DatabaseWatch | undefined
  let leadership: Leadership<LeaderTerm> | undefined
  let governor: LoginGovernor | undefined
  const term = () => leadership?.term
  const workersWanted = () => {
    const backends = term()?.occupancy.backends
    return backends === undefined ? undefined : workersFor(backends, { ...config.worker, ...config.launcher })
  }
  const metrics = defineRouterMetrics(registry, {
    registeredUsers: () => database?.accounts ?? 0,
    placements: () => term()?.occupancy.users ?? 0,
    backends: () => term()?.occupancy.backends ?? 0,
    isLeader: () => term() !== undefined,
    backendsWanted: () => term()?.occupancy.backends,
    workersWanted,
    workers: () => owners?.processes('worker').length ?? 0,
    waitingLogins: () => (term() && governor?.waiting) ?? 0,
    loginRate: () => (term() && governor?.lowestRate) ?? 0,
  })

  if (config.database.type === 'none') log.warn({}, keptNowhere)
  const store = parts.use(await openStore(storeOptions(config, log), stopping))
  const bus = parts.use(await connectBus(busOptions(context, metrics), stopping))
  owners = bus.owners
  const instance = instanceKey(config.service.jid)
  const keys = await store.instanceKeys.findOrCreate(createSealingKeys)
  const sessions = new StartSessions(bus, instance)
  const leader = parts.use(new LeaderCalls(bus, instance, term))
  const registrar = createRegistrar(context, { bus, instance, store, keys, sessions, leader, metrics })
  const watch: RequestWatch = {
    log,
    onAnswered: (method, seconds) => metrics.seconds.observe({ method }, seconds),
    onFailed: (method, code) => metrics.failures.inc({ method, code }),
  }

  leadership = parts.use(
    new Leadership({
      bus,
      instance,
      log,
      begin: ownership => {
        governor = startGovernor(config, metrics)
        const shared = { bus, instance, store, keys, sessions, registrar, metrics, watch }
        return beginTerm(ownership, context, { ...shared, governor })
      },
    }),
  )
  if (config.database.type === 'none') await assertSole(leadership, stopping)
  const admin = parts.use(
    await AdminServer.start({
      ...config.grpc,
      methods: adminMethods({ bus, instance, config, version, store, sessions }),
      log,
    }),
  )
  database = parts.use(
    new DatabaseWatch({
      store,
      log,
      onPing: result => metrics.databasePings.inc({ result }),
      onChange: isAvailable => admin.setServing(isAvailable && bus.isConnected),
    }),
  )
  const databaseWatch = database
  parts.use(bus.onConnection(isConnected => admin.setServing(isConnected && databaseWatch.isAvailable)))
  const onLogin = (result: string) => metrics.logins.inc({ result })
  const handlers = {
    ...usersApi({ registrar, leader, sessions, onLogin, onLoginFailed: error => onLogin(codeOf(error)) }),
    ...workersApi({ bus, instance, store, keys, sessions, leader }),
    ...saveSessionsApi({
      bus,
      instance,
      store,
      onSaved: (result, count) => metrics.savedSessions.inc({ result }, count),
    }),
  }
  const requests = new OpenRequests()
  // First nothing more comes in, then what came in is answered. The bus keeps the order: with an answer to this question
  // all has come that was sent before the server knew.
  parts.defer(async () => {
    if (bus.isConnected)
      await sessions.placementOf('nobody').catch(error => log.warn({ err: error }, 'the bus is gone'))
    await requests.idle(drainMs)
  })
  parts.use(bus.serve(RouterDefinition, guarded(handlers, watch, requests)))
  const launcher = createLauncher({ config, bus, log, argv, count: what => metrics.launches.inc({ what }) })
  // Ends first: workers that stop need the router. One that stood still may lead no longer, and not know it yet.
  parts.use(new Staffing(launcher, () => (term()?.mayAct ? workersWanted() : undefined)))
  admin.setServing(true)

  const running = parts.move()
  return {
    adminPort: admin.port,
    processId: bus.processId,
    get isLeader() {
      return term() !== undefined
    },
    ready: () => readiness(bus, databaseWatch),
    [Symbol.asyncDispose]: () => running.disposeAsync(),
  }
}

/** Accounts in memory are one router's: another one would know other users and another key. */
async function assertSole(leadership: Leadership<LeaderTerm>, stopping: AbortSignal): Promise<void> {
  // Long enough to learn that a router that died is dead.
  if (await leadership.leadsWithin(20_000, stopping)) return
  throw new Error('Another router runs, and database.type = none keeps accounts in the memory of one; use PostgreSQL.')
}

function readiness(bus: Bus, database: DatabaseWatch): true | string {
  if (!bus.isConnected) return 'NATS is not connected'
  return database.isAvailable || 'the database is not available'
}

function busOptions({ config, log }: ServiceContext, metrics: RouterMetrics) {
  const { servers, nkeySeed, ca, replicas, streamBytes } = config.nats
  return {
    servers: [...servers],
    service: 'router' as const,
    instance: instanceKey(config.service.jid),
    log,
    count: busCounter(metrics),
    replicas: replicas === 3 ? (3 as const) : (1 as const),
    limits: { maxStreamBytes: streamBytes },
    ...(nkeySeed === undefined ? {} : { nkeySeed }),
    ...(ca === '' ? {} : { caFile: ca }),
  }
}

interface Parts {
  readonly bus: Bus
  readonly instance: string
  readonly store: Store
  readonly keys: KeyPair
  readonly sessions: StartSessions
  readonly leader: LeaderCalls
  readonly registrar: Registrar
  readonly metrics: RouterMetrics
  readonly watch: RequestWatch
}

function createRegistrar(
  { config, log }: ServiceContext,
  { bus, instance, store, keys, sessions, leader, metrics }: Omit<Parts, 'registrar' | 'watch'>,
): Registrar {
  return new Registrar({
    config,
    store,
    keys,
    log,
    manifest: () => registrationManifest(bus, instance),
    onRegistration: result => metrics.registrations.inc({ result }),
    async onReplaced(user) {
      const entry = await sessions.placementOf(user)
      if (entry) await sessions.stop(user, entry.value, StopSession_Reason.REASON_CREDENTIALS_CHANGED, randomUUID())
    },
    signOut: user => leader.removePlacement({ user, reason: StopSession_Reason.REASON_UNREGISTERED }),
  })
}

async function beginTerm(
  ownership: Ownership,
  { config, log }: { config: Config } & Pick<ServiceContext, 'log'>,
  parts: Omit<Parts, 'leader'> & { readonly governor: LoginGovernor },
): Promise<LeaderTerm> {
  const { bus, instance, store, keys, sessions, registrar, metrics, watch, governor } = parts
  const governing = governorApi(governor, () => ownership.mayAct())
  // By the leader, and with each term: the bus may have lost its tables.
  await publishKey(bus, instance, keys.publicKey)
  const { service } = config
  const occupancy = await Occupancy.load({
    bus,
    instance,
    usersPerBackend: service.usersPerBackend,
    reuseOldBackends: service.reuseOldBackends,
    log,
    mayAct: () => ownership.mayAct(),
    onRecount: () => metrics.recounts.inc(),
    onFenced: () => metrics.fenced.inc({ what: 'occupancy' }),
  })
  const upkeep = new Upkeep({
    occupancy,
    log,
    workers: () => bus.owners.processes('worker'),
    busyLanes: highest => busyBackends(bus, instance, highest),
    memoryCollectorMs: service.memoryCollectorTime * 1000,
  })
  const restore = await RestoreSessions.open({
    bus,
    instance,
    store,
    log,
    onRestored: result => metrics.restoredSessions.inc({ result }),
  })
  const background = new AsyncDisposableStack()
  background.use(upkeep)
  background.use(restore)
  const term = new LeaderTerm({
    ownership,
    instance,
    occupancy,
    upkeep: background,
    sessions,
    log,
    loginDelayMs: service.loginDelay * 1000,
    movesIdle: service.idleReconnectTime > 0,
    async admit(request) {
      const [start, snapshot] = await Promise.all([registrar.admit(request), restore.snapshotOf(request.user)])
      return snapshot === undefined ? start : { ...start, snapshot }
    },
    onLogin: result => metrics.logins.inc({ result }),
    onMove: result => metrics.moves.inc({ result }),
    onFenced: () => metrics.fenced.inc({ what: 'placement' }),
    serve: term =>
      bus.serve(RouterDefinition, guarded({ ...leaderApi(term), ...governing }, watch), {
        target: leaderResource(instance),
      }),
  })
  upkeep.start()
  restore.start(term)
  return term
}

const codeOf = (error: unknown) => NetworkError.from(error).code
