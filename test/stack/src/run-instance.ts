import { type Config, ConfigError, type LoadedConfig, loadConfig } from '@spectrum/config'
import type { Child } from './child.ts'
import { spectrumVariables } from './environment.ts'
import {
  BadConfigurationError,
  type Gateway,
  type GatewayOptions,
  parseRecord,
  type ServiceProcess,
  startBusServer,
  startGateway,
} from './gateway.ts'
import { openState } from './instance-state.ts'
import { endLeftWorkers } from './left-workers.ts'
import { isFree } from './ports.ts'
import { splitFlags } from './start-flags.ts'
import { keepRunning } from './supervisor.ts'
import { explainFailure, readable, StartError, say, stopRequests } from './terminal.ts'

/**
 * Runs the gateway of one Spectrum 2 configuration in the foreground until it is told to stop: a nats-server and one
 * process of each service, each started again when it dies. Prints `ready: <jid> …` on stdout once it is connected.
 *
 * @param argv - `--config FILE` and `--section.key=value`, as every service takes them
 * @throws StartError with one sentence when it cannot run
 */
export async function runInstance(argv: readonly string[]): Promise<void> {
  const requests = stopRequests()
  const { config, warnings, given } = load(argv)
  using state = await openState(config)
  const { config: file, flags, env } = splitFlags(argv)
  const { jid, server, port } = config.service
  const launchesWorkers = config.launcher.type === 'process'
  await endLeftWorkers(jid)
  say(`Starting the gateway for ${jid}; ${whatIsKept(config)} ${state.folder}`)

  await using resources = new AsyncDisposableStack()
  const bus = await startBusServer(jid, { storeDir: state.natsStore })
  resources.defer(async () => {
    await bus.nats.stop()
    await bus.nats[Symbol.asyncDispose]()
  })
  const stopping = new AbortController()
  const busIsKept = keepRunning(bus.nats.child, { signal: stopping.signal, onEvent: say })
  resources.defer(async () => {
    stopping.abort()
    await busIsKept
  })
  const watch = new Watch(config, [...warnings, ...notOurs(given)])
  const gateway = await startGateway({
    ...(file === undefined ? { cfg: '' } : { cfg: { path: file } }),
    ports: await chosenPorts(config),
    flags: [
      ...flags,
      ...launcherFlags(config),
      ...(state.database === undefined ? [] : [`--database.database=${state.database}`]),
    ],
    launchesWorkers,
    bus,
    env: { ...spectrumVariables(), ...env },
    secrets: state.masterKeyFile === undefined ? { masterKey: null } : { masterKeyFile: state.masterKeyFile },
    onLine: (process, line) => watch.onLine(process, line),
    onEvent: say,
  })
  resources.use(gateway)

  const ready = gateway.ready({ deadlineMs: Number.POSITIVE_INFINITY }).then(() => {
    process.stdout.write(`ready: ${jid} is connected to ${server}:${port}\n`)
    watch.tellWarnings()
  })
  const ended = await outcome([requests.first, gateway.failure, watch.refusal, ready.then(() => forever())])
  watch.tellWarnings()
  if (ended.signal) say(`${ended.signal}: stopping`)
  else {
    // At once, and nothing below it: what the services say while they end is of no use to anybody.
    explainFailure(ended.error)
    watch.hush()
  }
  await Promise.race([resources.disposeAsync(), requests.impatience.then(() => killAll(gateway, bus.nats.child))])
  await endLeftWorkers(jid)
}

/** What lies in the folder of an instance, with its verb. */
function whatIsKept({ database: { type } }: Config): string {
  if (type === 'sqlite3') return 'its data is in'
  return type === 'none' ? 'accounts are kept nowhere, what waits on the bus in' : 'what is not in PostgreSQL is in'
}

/** Options that have no meaning here, if they are given. */
function notOurs(given: ReadonlySet<string>): string[] {
  return ['nats.servers', 'nats.nkey_seed', 'nats.ca', 'launcher.worker_nkey_seed']
    .filter(option => given.has(option))
    .map(option => `${option}: is not used here: npm start runs a nats-server of its own`)
}

/** The configured ports: health and metrics of frontend, router and worker take the named one and the next two. */
async function chosenPorts({ http, grpc }: Config): Promise<NonNullable<GatewayOptions['ports']>> {
  const list = {
    'http.port': http.port === 0 ? [] : [0, 1, 2].map(step => http.port + step),
    'grpc.port': grpc.port === 0 ? [] : [grpc.port],
  }
  for (const [option, ports] of Object.entries(list))
    for (const port of ports)
      if (!(await isFree(port)))
        throw new StartError(`Port ${port} is in use by another program: please choose another with --${option}=PORT.`)
  const [frontend, router, worker] = list['http.port']
  return {
    ...(frontend && router && worker ? { http: { frontend, router, worker } } : {}),
    ...(grpc.port === 0 ? {} : { grpc: grpc.port }),
  }
}

/** Workers that the router starts have the ports that begin where that of a worker of our own would be. */
function launcherFlags({ http, launcher }: Config): string[] {
  if (launcher.type !== 'process' || http.port === 0 || launcher.workerHttpPort !== 0) return []
  return [`--launcher.worker_http_port=${http.port + 2}`]
}

/** Looks at what the services say for what a person has to know. */
class Watch {
  readonly refusal: Promise<never>
  #refuse: (error: Error) => void
  #config: Config
  #warnings: Set<string>
  #told = new Set<string>()
  #refusing = new Set<string>()
  #isReady = false
  #isHushed = false

  /** @param warnings - of the configuration; each is told once, though every service finds it */
  constructor(config: Config, warnings: readonly string[]) {
    this.#config = config
    this.#warnings = new Set(warnings)
    const { promise, reject } = Promise.withResolvers<never>()
    this.refusal = promise
    this.#refuse = reject
    promise.catch(() => undefined)
  }

  /** After `ready`, where they are seen; from then on each as it comes. */
  tellWarnings(): void {
    this.#isReady = true
    this.#flushWarnings()
  }

  hush(): void {
    this.#isHushed = true
  }

  onLine(process: ServiceProcess, line: string): void {
    if (this.#isHushed) return
    const record = parseRecord(line)
    if (record?.msg === 'a setting is not used as written') {
      this.#warnings.add(String(record.finding))
      if (this.#isReady) this.tellWarnings()
      return
    }
    if (record === undefined && this.#isRefusal(process, line)) return
    const sentence = record && this.#sentenceFor(process, record)
    if (sentence !== undefined) {
      this.#once(sentence)
      // Perhaps it is never ready, and this is why.
      return this.#flushWarnings()
    }
    const text = readable(speaker(process, record), line, this.#config.log.level)
    if (text !== undefined) say(text)
  }

  /** Whether a line is of a service that refuses the configuration: its words are the last that the start says. */
  #isRefusal({ name }: ServiceProcess, line: string): boolean {
    if (line === 'The configuration cannot be used:') this.#refusing.add(name)
    else if (!line.startsWith('  ')) this.#refusing.delete(name)
    return this.#refusing.has(name)
  }

  /** What a line means while the gateway is not ready; undefined where the line says it well enough. */
  #sentenceFor({ service }: ServiceProcess, record: Record<string, unknown>): string | undefined {
    if (this.#isReady) return undefined
    const { jid, server, port } = this.#config.service
    const msg = String(record.msg)
    if (service === 'frontend' && msg.includes('refuses the component secret')) {
      // A wrong secret does not become right by waiting. Once connected it was right, and the server's trouble passes.
      const refusal = `The XMPP server at ${server}:${port} refuses the secret of ${jid}: please check service.password.`
      this.#refuse(new StartError(refusal))
      return ''
    }
    // It is waited for: the server's configuration may be put right meanwhile.
    if (service === 'frontend' && msg.startsWith('the XMPP server has no component'))
      return `The XMPP server at ${server}:${port} has no component ${jid}: please check service.jid, and that the server has a component of that name; trying again until it has.`
    if (service === 'frontend' && msg === 'component connection failed')
      return `The XMPP server at ${server}:${port} cannot be reached yet (${record.reason}); trying again until it is there.`
    if (service === 'router' && msg.startsWith('the database is not available')) {
      const { server: host, port: databasePort, connectionstring } = this.#config.database
      const [where, options] =
        connectionstring === ''
          ? [`at ${host}:${databasePort || 5432}`, 'database.server and database.port']
          : ['of database.connectionstring', 'database.connectionstring']
      return `The PostgreSQL server ${where} cannot be used yet (${reasonOf(record.err)}); trying again. It is named by ${options}.`
    }
    return undefined
  }

  #flushWarnings(): void {
    for (const warning of this.#warnings) this.#once(`warning: ${warning}`)
  }

  #once(sentence: string): void {
    if (sentence === '' || this.#told.has(sentence)) return
    this.#told.add(sentence)
    say(sentence)
  }
}

/** Who has written a line: workers that a router has started write to its output. */
function speaker({ name, service }: ServiceProcess, record: Record<string, unknown> | undefined): string {
  return record === undefined || record.service === service ? name : `${record.service} ${record.pid}`
}

/** The innermost words of a logged error. */
function reasonOf(error: unknown): string {
  if (typeof error !== 'object' || error === null) return String(error)
  const { cause, message } = error as { cause?: unknown; message?: unknown }
  return cause ? reasonOf(cause) : String(message)
}

async function outcome(
  races: readonly Promise<NodeJS.Signals | never>[],
): Promise<{ signal?: NodeJS.Signals; error?: Error }> {
  try {
    return { signal: await Promise.race(races) }
  } catch (error) {
    if (error instanceof BadConfigurationError) return { error: new StartError(error.message) }
    return { error: error as Error }
  }
}

function forever(): Promise<never> {
  return new Promise(() => undefined)
}

async function killAll(gateway: Gateway, nats: Child): Promise<void> {
  await Promise.all([...gateway.processes.map(({ child }) => child), nats].map(child => child.kill('SIGKILL')))
}

function load(argv: readonly string[]): LoadedConfig {
  try {
    return loadConfig({ argv, required: ['service.password'] })
  } catch (error) {
    if (error instanceof ConfigError) throw new StartError(error.mistakes.join('\n'))
    throw error
  }
}
