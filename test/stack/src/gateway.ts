import { randomBytes } from 'node:crypto'
import { chmod, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { createNkeys, instanceKey, natsServerConfig, type ServiceName } from '@spectrum/bus'
import { Child } from './child.ts'
import { repositoryRoot } from './environment.ts'
import { type NatsCluster, type NatsServer, startNats, startNatsCluster } from './nats.ts'
import { freePort } from './ports.ts'
import { keepRunning } from './supervisor.ts'
import { TemporaryFolder } from './temporary.ts'
import { waitUntil } from './wait-until.ts'

/** EX_CONFIG of sysexits: the service cannot run with this configuration, so starting it again is useless. */
const badConfiguration = 78

/** The three services, in the order in which they are started. */
export const serviceNames = ['router', 'worker', 'frontend'] as const satisfies readonly ServiceName[]

/** A nats-server that carries the bus, and the secret of each service's user on it. */
export interface BusServer {
  /** The server, or the first of a cluster. */
  readonly nats: NatsServer
  /** All servers of a cluster; absent for a single one. */
  readonly cluster?: NatsCluster
  readonly seeds: Readonly<Record<ServiceName, string>>
}

/**
 * Starts a nats-server for one instance, on which each service has a user of its own with its own permissions. The keys are made anew.
 */
export async function startBusServer(
  jid: string,
  options: { storeDir?: string; port?: number; onLine?: (line: string) => void } = {},
): Promise<BusServer> {
  const [router, worker, frontend] = [createNkeys(), createNkeys(), createNkeys()]
  const users = { router, worker, frontend }
  const nats = await startNats({
    ...options,
    config: ({ host, port, storeDir }) =>
      natsServerConfig({ host, port, storeDir, users, instances: [instanceKey(jid)] }),
  })
  return { nats, seeds: { router: router.seed, worker: worker.seed, frontend: frontend.seed } }
}

/** Like {@link startBusServer}, with several nats-servers that keep JetStream's data together. */
export async function startBusCluster(jid: string, size: number): Promise<BusServer> {
  const [router, worker, frontend] = [createNkeys(), createNkeys(), createNkeys()]
  const users = { router, worker, frontend }
  const cluster = await startNatsCluster(size, {
    config: ({ cluster, host, port, storeDir }) =>
      natsServerConfig({
        ...{ host, port, storeDir },
        users,
        instances: [instanceKey(jid)],
        ...(cluster && {
          serverName: cluster.serverName,
          cluster: {
            name: cluster.name,
            port: cluster.port,
            routes: cluster.routes.map(port => `nats://${host}:${port}`),
          },
        }),
      }),
  })
  const seeds = { router: router.seed, worker: worker.seed, frontend: frontend.seed }
  return { nats: cluster.servers[0] as NatsServer, cluster, seeds }
}

/** What the services of one instance are to be run with. */
export interface GatewayOptions {
  /** A Spectrum 2 configuration: its text, or the path of a file. Secrets belong into {@link secrets}. */
  readonly cfg: string | { readonly path: string }
  /** More options for every service: `--irc.flood_rate=0`. Never a secret: everybody on the machine can read them. */
  readonly flags?: readonly string[]
  readonly bus: BusServer
  /** Addresses by which a process reaches the bus, when not those of the servers: through a proxy, say. */
  readonly natsUrls?: (service: ServiceName, index: number) => readonly string[] | undefined
  /** Ports of health and metrics, and of the routers' admin API; free ones by default. */
  readonly ports?: { readonly http?: Readonly<Record<ServiceName, number>>; readonly grpc?: number }
  /** How many processes of each service; one by default. */
  readonly processes?: Partial<Record<ServiceName, number>>
  /** The configuration says `launcher.type = process`: routers start the workers, and get what lets those into the bus. */
  readonly launchesWorkers?: boolean
  /** Handed over in the environment, each only to the service that needs it. */
  readonly secrets?: GatewaySecrets
  /** More environment for every service. */
  readonly env?: Readonly<Record<string, string>>
  /** Starts a process that dies again, with a growing pause; true by default. */
  readonly isSupervised?: boolean
  /** Called with each line that a process prints. */
  readonly onLine?: (process: ServiceProcess, line: string) => void
  /** Told when a process ended unasked, and what is done about it. */
  readonly onEvent?: (sentence: string) => void
}

export interface GatewaySecrets {
  /** Of the component connection (`service.password`). */
  readonly componentPassword?: string
  /** Address of a PostgreSQL database with its password (`database.connectionstring`). */
  readonly databaseUrl?: string
  /**
   * 32 bytes in base64; random by default, so that nothing stored can be read after the next start. Null: the
   * configuration has it.
   */
  readonly masterKey?: string | null
  /** A file with it instead. */
  readonly masterKeyFile?: string
}

/** One process of one service. */
export class ServiceProcess {
  readonly service: ServiceName
  readonly index: number
  /** Port of `/metrics`, `/healthz` and `/readyz`. */
  readonly httpPort: number
  /** Port of the admin API; routers only. */
  readonly grpcPort: number | undefined
  readonly child: Child
  /** Whether it is started again when it dies; may be changed at any time. */
  isSupervised: boolean

  constructor(parts: Pick<ServiceProcess, 'service' | 'index' | 'httpPort' | 'grpcPort' | 'child' | 'isSupervised'>) {
    this.service = parts.service
    this.index = parts.index
    this.httpPort = parts.httpPort
    this.grpcPort = parts.grpcPort
    this.child = parts.child
    this.isSupervised = parts.isSupervised
  }

  /** `frontend 1` */
  get name(): string {
    return `${this.service} ${this.index + 1}`
  }

  get pid(): number {
    return this.child.pid
  }

  /** Sends a signal, `SIGKILL` by default. A process that it ends is started again when supervised. */
  kill(signal: NodeJS.Signals = 'SIGKILL'): Promise<void> {
    return this.child.kill(signal)
  }

  /** Kills it and keeps it down until {@link resume}. */
  async hold(signal: NodeJS.Signals = 'SIGKILL'): Promise<void> {
    this.isSupervised = false
    await this.child.kill(signal)
  }

  /** Starts it again after {@link hold}, and returns when it does its work. */
  async resume(): Promise<void> {
    this.isSupervised = true
    await waitUntil(async () => (await this.readiness()) === true, {
      deadlineMs: 60_000,
      describe: () => `${this.name} did not come back:\n${this.child.lines.slice(-20).join('\n')}`,
    })
  }

  /** The records that it logged, in order; lines that are no JSON are left out. */
  get log(): Record<string, unknown>[] {
    return this.child.lines.map(parseRecord).filter(record => record !== undefined)
  }

  /** True, or why it cannot do its work now: what `/readyz` says. */
  async readiness(): Promise<true | string> {
    if (!this.child.isRunning) return `ended (${this.child.exit})`
    try {
      const response = await fetch(`http://127.0.0.1:${this.httpPort}/readyz`, { signal: AbortSignal.timeout(5000) })
      return response.ok || (await response.text()).trim()
    } catch {
      // Nobody listens yet.
      return 'starting'
    }
  }

  /** Its metrics as Prometheus text. */
  async metrics(): Promise<string> {
    const response = await fetch(`http://127.0.0.1:${this.httpPort}/metrics`, { signal: AbortSignal.timeout(5000) })
    return response.text()
  }

  /** The sum of a metric over its labels; 0 when it was never set. */
  async metric(name: string, labels: Record<string, string> = {}): Promise<number> {
    return sumOf(await this.metrics(), name, labels)
  }
}

/** The processes of one instance. */
export class Gateway implements AsyncDisposable {
  readonly processes: readonly ServiceProcess[]
  #folder: TemporaryFolder
  #stopping = new AbortController()
  #failure: Promise<never>
  #watches: readonly Promise<void>[]

  constructor(processes: readonly ServiceProcess[], folder: TemporaryFolder, onEvent: (sentence: string) => void) {
    this.processes = processes
    this.#folder = folder
    const { promise, reject } = Promise.withResolvers<never>()
    this.#failure = promise
    // Nobody need be watching.
    promise.catch(() => undefined)
    this.#watches = processes.map(process =>
      keepRunning(process.child, {
        signal: this.#stopping.signal,
        onEvent,
        isWanted: () => process.isSupervised,
        useless: [badConfiguration],
        onUseless: () => reject(new BadConfigurationError(explain(process))),
      }),
    )
  }

  /** Rejects when a process cannot run at all, however often it is started. */
  get failure(): Promise<never> {
    return this.#failure
  }

  of(service: ServiceName): readonly ServiceProcess[] {
    return this.processes.filter(process => process.service === service)
  }

  get frontends(): readonly ServiceProcess[] {
    return this.of('frontend')
  }

  get routers(): readonly ServiceProcess[] {
    return this.of('router')
  }

  get workers(): readonly ServiceProcess[] {
    return this.of('worker')
  }

  /**
   * Waits until routers and workers do their work and a frontend holds the component connection.
   *
   * @param options.deadlineMs - 60 s by default; for ever when Infinity
   * @param options.signal - gives up waiting
   * @param options.onWaiting - told what is still missing, whenever that changes
   */
  async ready(
    options: { deadlineMs?: number; signal?: AbortSignal; onWaiting?: (missing: string) => void } = {},
  ): Promise<void> {
    const { deadlineMs = 60_000, onWaiting } = options
    const end = performance.now() + deadlineMs
    let before = ''
    for (;;) {
      const missing = await this.#missing()
      if (missing === '') return
      if (missing !== before) onWaiting?.(missing)
      before = missing
      if (performance.now() > end) throw new Error(`the gateway is not ready: ${missing}\n${this.#lastLines()}`)
      options.signal?.throwIfAborted()
      this.#stopping.signal.throwIfAborted()
      await Promise.race([delay(50), this.#failure])
    }
  }

  /** Ends every process in an orderly way, frontends first: what they have read is still taken by the others. */
  async stop(): Promise<void> {
    this.#stopping.abort()
    await Promise.all(this.#watches)
    await Promise.all(this.frontends.map(({ child }) => child.stop()))
    await Promise.all(this.processes.map(({ child }) => child.stop()))
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop()
    await this.#folder[Symbol.asyncDispose]()
  }

  async #missing(): Promise<string> {
    const states = await Promise.all(
      this.processes.map(async process => ({ process, state: await process.readiness() })),
    )
    const missing = states
      .filter(({ process, state }) => state !== true && process.service !== 'frontend')
      .map(({ process, state }) => `${process.name}: ${state}`)
    if (this.workers.length === 0 && !(await this.#anyHas('router', 'spectrum_workers')))
      missing.push('worker: starting')
    // One that stands by is ready as well: somebody must hold the connection.
    if (!(await this.#anyHas('frontend', 'spectrum_frontend_component_connected'))) {
      const frontends = states.filter(({ process }) => process.service === 'frontend')
      missing.push(...frontends.map(({ process, state }) => `${process.name}: ${state === true ? 'stands by' : state}`))
    }
    return missing.join('; ')
  }

  /** Whether a metric is above zero in any process of the service. */
  async #anyHas(service: ServiceName, name: string): Promise<boolean> {
    const values = await Promise.all(this.of(service).map(process => process.metric(name).catch(() => 0)))
    return values.some(value => value > 0)
  }

  #lastLines(): string {
    return this.processes.map(({ name, child }) => `── ${name}\n${child.lines.slice(-20).join('\n')}`).join('\n')
  }
}

/** A service refuses the configuration; the message is what it said. */
export class BadConfigurationError extends Error {
  override name = 'BadConfigurationError'
}

function explain(process: ServiceProcess): string {
  const plain = process.child.lines.filter(line => parseRecord(line) === undefined && line.trim() !== '')
  return plain.slice(-20).join('\n') || `${process.name} cannot run with this configuration`
}

/** Launches the services of one instance. Returns at once: {@link Gateway.ready} waits. */
export async function startGateway(options: GatewayOptions): Promise<Gateway> {
  const folder = await TemporaryFolder.create('gateway')
  const path = typeof options.cfg === 'string' ? join(folder.path, 'gateway.cfg') : options.cfg.path
  if (typeof options.cfg === 'string') {
    await writeFile(path, options.cfg, { mode: 0o600 })
    await chmod(path, 0o600)
  }
  // All routers of one start must share it.
  const secrets = options.secrets?.masterKeyFile
    ? options.secrets
    : { masterKey: randomBytes(32).toString('base64'), ...options.secrets }
  const processes: ServiceProcess[] = []
  const counts = { ...options.processes, ...(options.launchesWorkers ? { worker: 0 } : {}) }
  for (const service of serviceNames)
    for (let index = 0; index < (counts[service] ?? 1); index++)
      processes.push(await launch({ ...options, secrets }, service, index, path))
  return new Gateway(processes, folder, options.onEvent ?? (() => undefined))
}

/**
 * As in the Dockerfile. What a frontend reads and writes lives for milliseconds, but part of it grows old before V8 collects
 * the whole heap: at 520 lines a second it grew to 570 MB in two minutes, of which 40 MB were in use. With a small young
 * generation, and less that grows old, it peaks at 260 MB, at about the same CPU.
 */
const nodeFlags: Record<ServiceName, readonly string[]> = {
  frontend: ['--max-semi-space-size=4'],
  router: [],
  worker: [],
}

async function launch(
  options: GatewayOptions,
  service: ServiceName,
  index: number,
  path: string,
): Promise<ServiceProcess> {
  const httpPort = options.ports?.http?.[service] ?? (await freePort())
  const grpcPort = service === 'router' ? (options.ports?.grpc ?? (await freePort())) : undefined
  const { bus } = options
  const natsUrls = options.natsUrls?.(service, index) ?? bus.cluster?.urls ?? [bus.nats.url]
  const args = [
    ...nodeFlags[service],
    join(repositoryRoot, `services/${service}/src/main.ts`),
    ...['--config', path, `--http.port=${httpPort}`],
    ...natsUrls.map(url => `--nats.servers=${url}`),
    ...(grpcPort === undefined ? [] : [`--grpc.port=${grpcPort}`]),
    ...(options.flags ?? []),
  ]
  let process: ServiceProcess
  const child = Child.launch({
    name: `${service} ${index + 1}`,
    command: globalThis.process.execPath,
    args,
    env: { ...options.env, ...secretsFor(service, options) },
    isReady: async () => (await process.readiness()) === true,
    onLine: line => options.onLine?.(process, line),
  })
  process = new ServiceProcess({
    service,
    index,
    httpPort,
    grpcPort,
    child,
    isSupervised: options.isSupervised ?? true,
  })
  return process
}

/**
 * Each service's own NATS user; the component's secret only for frontends, database and master key only for routers, and the
 * workers' NATS user where routers start them.
 */
function secretsFor(
  service: ServiceName,
  { bus, secrets = {}, launchesWorkers = false }: GatewayOptions,
): Record<string, string> {
  const { componentPassword, databaseUrl, masterKey, masterKeyFile } = secrets
  const env: Record<string, string | null | undefined> = { SPECTRUM_NATS_NKEY_SEED: bus.seeds[service] }
  if (service === 'frontend') env.SPECTRUM_SERVICE_PASSWORD = componentPassword
  if (service === 'router') {
    env.SPECTRUM_DATABASE_CONNECTIONSTRING = databaseUrl
    if (launchesWorkers) env.SPECTRUM_LAUNCHER_WORKER_NKEY_SEED = bus.seeds.worker
    if (masterKeyFile === undefined) env.SPECTRUM_MASTER_KEY = masterKey
    else env.SPECTRUM_MASTER_KEY_FILE = masterKeyFile
  }
  return Object.fromEntries(
    Object.entries(env).filter((entry): entry is [string, string] => typeof entry[1] === 'string'),
  )
}

/** A line of structured log as an object; undefined for anything else. */
export function parseRecord(line: string): Record<string, unknown> | undefined {
  if (!line.startsWith('{')) return undefined
  try {
    return JSON.parse(line)
  } catch {
    // Half a line, or no JSON at all.
    return undefined
  }
}

/** The sum of all samples of a metric in Prometheus text that carry these labels. */
export function sumOf(text: string, name: string, labels: Record<string, string>): number {
  const samples = text.split('\n').filter(line => line.startsWith(`${name}{`) || line.startsWith(`${name} `))
  return samples
    .filter(line =>
      Object.entries(labels).every(([label, value]) => line.includes(`${label}=${JSON.stringify(value)}`)),
    )
    .reduce((sum, line) => sum + Number(line.slice(line.lastIndexOf(' ') + 1)), 0)
}
