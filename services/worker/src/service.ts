import { connectBus, instanceKey, leaderResource, placementKey, protoValue } from '@spectrum/bus'
import { Placement, RouterDefinition, SessionSnapshot } from '@spectrum/messages'
import type { Clock, Network } from '@spectrum/network'
import { busCounter, type RunningService, type ServiceContext, Standstill } from '@spectrum/service-kit'
import { createAccounts, InstanceKey } from './accounts.ts'
import { Backends } from './backends/backends.ts'
import { Egress } from './egress/connect.ts'
import { EgressPolicy } from './egress/policy.ts'
import { LoginTurns } from './logins/login-turns.ts'
import { keepManifest } from './manifest.ts'
import { defineWorkerMetrics } from './metrics.ts'
import { defaultLimits, type SessionContext, type SessionLimits } from './sessions/context.ts'
import { EventLanes } from './sessions/event-lanes.ts'
import { FailureNotices } from './sessions/failure-notices.ts'
import { ResourceChecks } from './sessions/resource-checks.ts'
import type { Session } from './sessions/session.ts'
import { WriteBehind } from './write-behind.ts'

/** What differs between a program and a test. */
export interface WorkerOptions {
  /** The network that `config.network` names. */
  readonly network: Network
  readonly version: string
  readonly clock?: Clock
  readonly limits?: Partial<SessionLimits>
}

const systemClock: Clock = { now: () => Date.now(), monotonic: () => performance.now() }

/** Builds the worker of one instance: bus, network, egress, backends. Fulfils when it may take backends. */
export async function startWorker(context: ServiceContext, options: WorkerOptions): Promise<RunningService> {
  const { config, log, registry, stopping } = context
  const { network, version, clock = systemClock } = options
  const instance = instanceKey(config.service.jid)
  const stack = new AsyncDisposableStack()

  let backends: Backends | undefined
  let lanes: EventLanes | undefined
  let logins: LoginTurns | undefined
  let copies: WriteBehind | undefined
  const sum = (of: (session: Session) => number): number => {
    let total = 0
    for (const session of backends?.sessions() ?? []) total += of(session)
    return total
  }
  const metrics = defineWorkerMetrics(registry, {
    backends: () => backends?.size ?? 0,
    sessions: () => sum(() => 1),
    onlineSessions: () => sum(session => (session.connection.isOnline ? 1 : 0)),
    rooms: () => sum(session => session.rooms.size),
    waitingCommands: () => sum(session => session.queue.length),
    waitingLogins: () => logins?.waiting ?? 0,
    waitingCopies: () => copies?.waiting ?? 0,
    heldEventBytes: () => lanes?.heldBytes ?? 0,
  })

  try {
    const bus = await connectBus(
      {
        servers: [...config.nats.servers],
        service: 'worker',
        instance,
        log,
        clock,
        count: busCounter(metrics),
        ...(config.nats.nkeySeed === undefined ? {} : { nkeySeed: config.nats.nkeySeed }),
        replicas: config.nats.replicas === 3 ? 3 : 1,
        limits: { maxStreamBytes: config.nats.streamBytes },
        ...(config.nats.ca === '' ? {} : { caFile: config.nats.ca }),
      },
      stopping,
    )
    stack.use(bus)
    const router = bus.client(RouterDefinition)
    const connector = network.create(config.network.options, {
      log,
      clock,
      count: reason => metrics.dropped.inc({ kind: 'network', reason }),
    })
    stack.defer(async () => connector.stop?.())
    const manifest = await connector.manifest()
    stack.use(await keepManifest(bus, instance, network, manifest, log))

    lanes = new EventLanes({
      bus,
      instance,
      partitions: config.frontend.eventPartitions,
      log,
      onDropped: ({ event }, reason) => metrics.dropped.inc({ kind: event?.$case ?? 'event', reason }),
    })
    const eventLanes = lanes
    const policy = new EgressPolicy(config.egress)
    const notices = new FailureNotices(clock)
    const egress = new Egress({
      policy,
      onRefused: (reason, address, port) => {
        metrics.egressRefused.inc({ reason })
        metrics.dropped.inc({ kind: 'egress', reason })
        const facts = { address, port, ...policy.explain(address, port) }
        if (notices.take()) log.warn(facts, 'a server that a user named is not connected to')
      },
    })
    const key = new InstanceKey(bus, router)
    const leader = bus.client(RouterDefinition, { target: leaderResource(instance), timeoutMs: 2_000 })
    logins = stack.use(
      new LoginTurns({
        process: bus.processId,
        clock,
        log,
        ask: request => leader.takeLoginTurns(request),
        report: request => leader.reportThrottling(request),
        onTurns: (result, count) => metrics.loginTurns.inc({ result }, count),
        onAskFailed: () => metrics.loginAsksFailed.inc(),
        onThrottled: () => metrics.loginsThrottled.inc(),
      }),
    )
    const sessions: SessionContext = {
      connector,
      manifest,
      log,
      clock,
      metrics,
      limits: { ...defaultLimits, ...options.limits },
      product: { name: 'Spectrum Cloud', version },
      staysConnected: config.settings.stayConnected,
      accounts: createAccounts(bus, router, instance),
      laneOf: user => eventLanes.laneOf(user),
      openPassword: sealed => key.open(sealed),
      logins,
      connect: (target, signal, heard) => egress.connect(target, signal, heard),
    }
    copies = stack.use(
      new WriteBehind({
        process: bus.processId,
        log,
        save: request => router.saveSessions(request),
        onResult: (result, count) => metrics.copies.inc({ result }, count),
      }),
    )
    const placements = bus.table('placements', protoValue(Placement))
    backends = stack.use(
      new Backends({
        bus,
        instance,
        sessions,
        copies,
        standstill: stack.use(new Standstill()),
        checks: stack.use(new ResourceChecks()),
        snapshots: bus.table('snapshots', protoValue(SessionSnapshot)),
        placementOf: async user => (await placements.get(placementKey(instance, user)))?.value,
        login: (user, nickHint) => router.login({ user, nickHint }),
        backendsPerWorker: config.worker.backendsPerWorker,
        idleSeconds: config.service.idleReconnectTime,
        reportIdle: request => router.reportIdle(request),
      }),
    )
    await backends.start()
    return {
      ready: () => bus.isConnected || 'NATS is not connected',
      [Symbol.asyncDispose]: () => stack.disposeAsync(),
    }
  } catch (error) {
    await stack.disposeAsync()
    throw error
  }
}
