import {
  type BusServer,
  type EjabberdServer,
  type Gateway,
  type IrcServer,
  type NatsServer,
  type PostgresServer,
  type ProsodyServer,
  type ServiceProcess,
  startBusCluster,
  startBusServer,
  startEjabberd,
  startErgo,
  startGateway,
  startNgircd,
  startPostgres,
  startProsody,
  waitUntil,
} from '@spectrum/stack'
import type { LoadTarget } from './load/load.ts'
import { openPath, type SeverablePath } from './severable-path.ts'
import { type Tap, TcpProxy } from './tcp-proxy.ts'

/** What a fault needs to happen to. */
export interface Topology {
  readonly xmpp?: 'prosody' | 'ejabberd'
  /** A cluster keeps everything three times. */
  readonly nats?: 'single' | 'cluster'
  readonly irc?: 'ngircd' | 'ergo'
  readonly network?: 'irc' | 'parrot'
  /** The frontends reach the XMPP server through a proxy. */
  readonly hasComponentProxy?: boolean
  /** The first worker reaches NATS by a way that can be cut. */
  readonly hasNatsPath?: boolean
  /** Global settings of Prosody. */
  readonly prosody?: string
  /** Options of the services. */
  readonly flags?: readonly string[]
}

export const jid = 'irc.localhost'

/** Its list of modules goes on: private lines for who is away are kept, as everywhere (Prosody does so by default). */
const ejabberdModules = '  mod_offline: {}\n'

/** Ten users on a backend: the fifty are spread over five of them, and these over the workers. */
const usersPerBackend = 10

/** Real servers on loopback and the gateway's processes between them. */
export class System implements AsyncDisposable {
  readonly topology: Topology
  readonly xmpp: ProsodyServer | EjabberdServer
  readonly irc: IrcServer
  readonly bus: BusServer
  readonly postgres: PostgresServer
  readonly gateway: Gateway
  readonly componentProxy: TcpProxy | undefined
  readonly natsPath: SeverablePath | undefined
  readonly #resources: AsyncDisposableStack
  readonly #taps: { tap: Tap | undefined }

  private constructor(
    parts: Pick<System, 'topology' | 'xmpp' | 'irc' | 'bus' | 'postgres' | 'gateway' | 'componentProxy' | 'natsPath'>,
    taps: { tap: Tap | undefined },
    resources: AsyncDisposableStack,
  ) {
    this.topology = parts.topology
    this.xmpp = parts.xmpp
    this.irc = parts.irc
    this.bus = parts.bus
    this.postgres = parts.postgres
    this.gateway = parts.gateway
    this.componentProxy = parts.componentProxy
    this.natsPath = parts.natsPath
    this.#taps = taps
    this.#resources = resources
  }

  /** Starts everything, and waits until the gateway serves. */
  static async start(topology: Topology, onEvent: (sentence: string) => void): Promise<System> {
    await using resources = new AsyncDisposableStack()
    const secret = 'component-secret'
    const component = { jid, secret }
    const taps: { tap: Tap | undefined } = { tap: undefined }
    const xmpp = resources.use(
      topology.xmpp === 'ejabberd'
        ? await startEjabberd({ component, config: ejabberdModules })
        : await startProsody({ component, conflictResolve: 'kick_old', config: topology.prosody ?? '' }),
    )
    const irc = resources.use(await (topology.irc === 'ergo' ? startErgo() : startNgircd()))
    const bus = topology.nats === 'cluster' ? await startBusCluster(jid, 3) : await startBusServer(jid)
    resources.use(bus.cluster ?? bus.nats)
    const postgres = resources.use(await startPostgres())
    const databaseUrl = await postgres.createDatabase()
    const componentProxy = topology.hasComponentProxy
      ? resources.use(await TcpProxy.start(xmpp.componentPort, (...passing) => taps.tap?.(...passing)))
      : undefined
    const natsPath = topology.hasNatsPath ? resources.use(await openPath(bus.nats.port)) : undefined
    const { network = 'irc' } = topology
    const gateway = resources.use(
      await startGateway({
        cfg: [
          '[service]',
          ...[`jid = ${jid}`, 'server = 127.0.0.1', `port = ${componentProxy?.port ?? xmpp.componentPort}`],
          ...[`backend = ${network}`, `users_per_backend = ${usersPerBackend}`],
          ...(network === 'irc' ? [`irc_server = 127.0.0.1:${irc.port}`] : []),
          ...['[database]', 'type = pqxx'],
          ...(network === 'irc' ? ['[irc]', 'flood_rate = 0'] : []),
          '',
        ].join('\n'),
        flags: [
          ...(topology.nats === 'cluster' ? ['--nats.replicas=3'] : []),
          ...(topology.xmpp === 'ejabberd' ? ['--frontend.connections=many'] : []),
          ...(topology.flags ?? []),
        ],
        bus,
        processes: { frontend: 2, router: 2, worker: 3 },
        natsUrls: (service, index) =>
          natsPath && service === 'worker' && index === 0 ? [`nats://${natsPath.host}:${natsPath.port}`] : undefined,
        secrets: { componentPassword: secret, databaseUrl },
        onEvent,
      }),
    )
    await gateway.ready({ deadlineMs: 120_000 })
    if (topology.xmpp === 'ejabberd') await allConnected(gateway)
    return new System({ topology, xmpp, irc, bus, postgres, gateway, componentProxy, natsPath }, taps, resources.move())
  }

  /** Where the load connects to. */
  get target(): LoadTarget {
    const { xmpp, irc } = this
    const { clientPort, domain } = xmpp
    return {
      ...{ clientPort, domain, gateway: jid },
      ircPort: this.topology.network === 'parrot' ? undefined : irc.port,
      addUser: (name, password) => xmpp.addUser(name, password),
    }
  }

  get natsServers(): readonly NatsServer[] {
    return this.bus.cluster?.servers ?? [this.bus.nats]
  }

  /** Reads along between the frontends and the XMPP server, where there is a proxy. */
  set tap(tap: Tap | undefined) {
    this.#taps.tap = tap
  }

  /** The process of these that has most of a metric. */
  async most(processes: readonly ServiceProcess[], metric: string): Promise<ServiceProcess> {
    const values = await Promise.all(processes.map(async process => ({ process, value: await process.metric(metric) })))
    values.sort((a, b) => b.value - a.value)
    const [most] = values
    if (most === undefined || most.value === 0) throw new Error(`no process has any ${metric}`)
    return most.process
  }

  /** What they have of a metric together. */
  async sum(processes: readonly ServiceProcess[], metric: string): Promise<number> {
    const values = await Promise.all(processes.map(process => process.metric(metric)))
    return values.reduce((all, value) => all + value, 0)
  }

  /**
   * Fulfils when every worker runs as many backends as the others, or one less, and that for a second: what was restarted in an
   * earlier row is given its share some seconds later, which costs users their connections.
   */
  async evenlyLoaded(): Promise<void> {
    let before = ''
    await waitUntil(
      async () => {
        const counts = await Promise.all(
          this.gateway.workers.map(worker => worker.metric('spectrum_worker_backends').catch(() => 0)),
        )
        const isSame = counts.join() === before
        before = counts.join()
        return isSame && Math.max(...counts) - Math.min(...counts) < 2
      },
      { deadlineMs: 90_000, everyMs: 1_000, describe: () => `the workers run ${before} backends` },
    )
  }

  /** How many items were set aside as undeliverable, as the first nats-server counts them. */
  async deadItems(): Promise<number> {
    const [nats] = this.natsServers
    const response = await fetch(`http://127.0.0.1:${nats?.monitorPort}/jsz?accounts=true&streams=true`)
    const { account_details = [] } = (await response.json()) as {
      account_details?: { stream_detail?: { name: string; state: { messages: number } }[] }[]
    }
    return account_details
      .flatMap(({ stream_detail = [] }) => stream_detail)
      .filter(({ name }) => /dead/i.test(name))
      .reduce((sum, { state }) => sum + state.messages, 0)
  }

  /** The last lines of every process, for a report of what went wrong. */
  logs(lines: number): string {
    return this.gateway.processes
      .map(({ name, child }) => `── ${name} (pid ${child.pid})\n${child.lines.slice(-lines).join('\n')}`)
      .join('\n')
  }

  /** Ends everything at once: what it holds is of no use to anybody. */
  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.gateway.processes.map(process => process.hold()))
    await this.#resources.disposeAsync()
  }
}

/** ejabberd shares the users out over as many connections as it is told, whether they are there or not. */
export async function allConnected({ frontends }: Gateway): Promise<void> {
  const connected = (): Promise<number[]> =>
    Promise.all(frontends.map(frontend => frontend.metric('spectrum_frontend_component_connected').catch(() => 0)))
  await waitUntil(async () => (await connected()).every(value => value === 1), { deadlineMs: 60_000, everyMs: 20 })
}
