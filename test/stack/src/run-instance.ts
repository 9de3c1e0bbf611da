import { type Config, ConfigError, loadConfig } from '@spectrum/config'
import type { Child } from './child.ts'
import { spectrumVariables } from './environment.ts'
import {
  BadConfigurationError,
  type Gateway,
  type GatewayOptions,
  type ServiceProcess,
  startBusServer,
  startGateway,
} from './gateway.ts'
import { openState } from './instance-state.ts'
import { isFree } from './ports.ts'
import { splitFlags } from './start-flags.ts'
import { keepRunning } from './supervisor.ts'
import { readable, StartError, say, stopRequests } from './terminal.ts'

/**
 * Runs the gateway of one Spectrum 2 configuration in the foreground until it is told to stop: a nats-server and one
 * process of each service, each started again when it dies. Prints `ready: <jid> …` on stdout once it is connected.
 *
 * @param argv - `--config FILE` and `--section.key=value`, as every service takes them
 * @throws StartError with one sentence when it cannot run
 */
export async function runInstance(argv: readonly string[]): Promise<void> {
  const requests = stopRequests()
  const config = load(argv)
  using state = openState(config)
  const { config: file, flags, env } = splitFlags(argv)
  const { jid, server, port } = config.service
  say(`Starting the gateway for ${jid}; its data is in ${state.folder}`)

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
  const watch = new Watch(config)
  const gateway = await startGateway({
    ...(file === undefined ? { cfg: '' } : { cfg: { path: file } }),
    ports: await chosenPorts(config),
    flags: [...flags, ...(state.database === undefined ? [] : [`--database.database=${state.database}`])],
    bus,
    env: { ...spectrumVariables(), ...env },
    secrets: config.security.masterKey === undefined ? { masterKeyFile: state.masterKeyFile } : { masterKey: null },
    onLine: (process, line) => watch.onLine(process, line),
    onEvent: say,
  })
  resources.use(gateway)

  const ready = gateway.ready({ deadlineMs: Number.POSITIVE_INFINITY }).then(() => {
    process.stdout.write(`ready: ${jid} is connected to ${server}:${port}\n`)
  })
  const ended = await outcome([requests.first, gateway.failure, watch.refusal, ready.then(() => forever())])
  if (ended.signal) say(`${ended.signal}: stopping`)
  await Promise.race([resources.disposeAsync(), requests.impatience.then(() => killAll(gateway, bus.nats.child))])
  if (ended.error) throw ended.error
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

/** Looks at what the services say for what a person has to know. */
class Watch {
  readonly refusal: Promise<never>
  #refuse: (error: Error) => void
  #config: Config
  #isConnected = false
  #hasTold = false

  constructor(config: Config) {
    this.#config = config
    const { promise, reject } = Promise.withResolvers<never>()
    this.refusal = promise
    this.#refuse = reject
    promise.catch(() => undefined)
  }

  onLine(process: ServiceProcess, line: string): void {
    const { jid, server, port } = this.#config.service
    const text = readable(process.name, line, this.#config.log.level)
    if (text !== undefined) say(text)
    if (process.service !== 'frontend') return
    if (line.includes('"component connected"')) this.#isConnected = true
    // A wrong secret does not become right by waiting. Once connected it was right, and the server's trouble passes.
    if (!this.#isConnected && line.includes('refuses the component secret'))
      this.#refuse(
        new StartError(
          `The XMPP server at ${server}:${port} refuses the secret of ${jid}: please check service.password.`,
        ),
      )
    if (!this.#isConnected && !this.#hasTold && line.includes('"component connection failed"')) {
      this.#hasTold = true
      say(`The XMPP server at ${server}:${port} cannot be reached yet; trying again until it is there.`)
    }
  }
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

function load(argv: readonly string[]): Config {
  try {
    return loadConfig({ argv, required: ['service.password'] }).config
  } catch (error) {
    if (error instanceof ConfigError) throw new StartError(error.mistakes.join('\n'))
    throw error
  }
}
