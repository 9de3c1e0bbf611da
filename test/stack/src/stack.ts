import { join } from 'node:path'
import type { Topology } from './environment.ts'
import { type BusServer, type Gateway, type ServiceProcess, startBusServer, startGateway } from './gateway.ts'
import { startInspircd } from './inspircd.ts'
import type { IrcServer } from './irc-server.ts'
import type { NatsServer } from './nats.ts'
import { startNgircd } from './ngircd.ts'
import { type PostgresServer, startPostgres } from './postgres.ts'
import { type ProsodyServer, startProsody } from './prosody.ts'
import { TemporaryFolder } from './temporary.ts'

/** What a whole system is made of. */
export interface StackOptions {
  /** `single`: one process of each service on SQLite. `pair`: two of each on PostgreSQL. */
  readonly topology: Topology
  /** Which IRC server; `ngircd` by default, which lets clients in at once. */
  readonly irc?: 'ngircd' | 'inspircd'
  /** The network that the gateway serves; `irc` by default, connected to the IRC server. */
  readonly network?: 'irc' | 'parrot'
  /** The gateway has no IRC server of its own: users name one in their rooms and contacts, and may name loopback. */
  readonly isOpen?: boolean
  /** More lines of configuration, with their `[section]` headings. */
  readonly cfg?: string
  /** What Prosody expects of the component, when it is not to be the right secret. */
  readonly prosodySecret?: string
  /** What Prosody does when a component connects twice; `kick_old` by default, as the gateway wants it. */
  readonly conflictResolve?: 'kick_old' | 'kick_new'
  /** Fixed ports for XMPP clients and for IRC clients; free ones by default. */
  readonly clientPort?: number
  readonly ircPort?: number
  /** Gives up waiting for the gateway. */
  readonly signal?: AbortSignal
  /** Does not wait for the gateway to be connected. */
  readonly isImpatient?: boolean
  readonly onLine?: (process: ServiceProcess, line: string) => void
  /** Told when a process ended unasked, and what is done about it. */
  readonly onEvent?: (sentence: string) => void
}

/** A whole system on loopback: Prosody, an IRC server, NATS, a database and the services. */
export class Stack implements AsyncDisposable {
  readonly jid: string
  readonly secret: string
  readonly prosody: ProsodyServer
  readonly ircServer: IrcServer
  readonly bus: BusServer
  /** Only with `pair`. */
  readonly postgres: PostgresServer | undefined
  /** Address of the database, or path of its SQLite file. */
  readonly database: string
  readonly gateway: Gateway
  #resources: AsyncDisposableStack

  constructor(
    parts: Pick<Stack, 'jid' | 'secret' | 'prosody' | 'ircServer' | 'bus' | 'postgres' | 'database' | 'gateway'>,
    resources: AsyncDisposableStack,
  ) {
    this.jid = parts.jid
    this.secret = parts.secret
    this.prosody = parts.prosody
    this.ircServer = parts.ircServer
    this.bus = parts.bus
    this.postgres = parts.postgres
    this.database = parts.database
    this.gateway = parts.gateway
    this.#resources = resources
  }

  get nats(): NatsServer {
    return this.bus.nats
  }

  /** Everything that any process of the gateway printed. */
  get log(): string {
    return this.gateway.processes.map(process => `── ${process.name}\n${process.child.log}`).join('\n')
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#resources.disposeAsync()
  }
}

/** Starts a whole system and waits until the gateway is connected to Prosody. */
export async function startStack(options: StackOptions): Promise<Stack> {
  await using resources = new AsyncDisposableStack()
  const jid = 'irc.localhost'
  const secret = 'component-secret'
  const isPair = options.topology === 'pair'
  const folder = resources.use(await TemporaryFolder.create('stack'))
  const startIrc = options.irc === 'inspircd' ? startInspircd : startNgircd
  const [prosody, ircServer, bus, postgres] = await inParallel(resources, [
    startProsody({
      component: { jid, secret: options.prosodySecret ?? secret },
      conflictResolve: options.conflictResolve ?? 'kick_old',
      ...(options.clientPort === undefined ? {} : { clientPort: options.clientPort }),
    }),
    startIrc(options.ircPort === undefined ? {} : { port: options.ircPort }),
    startBusServer(jid),
    isPair ? startPostgres() : undefined,
  ])
  const database = postgres ? await postgres.createDatabase() : join(folder.path, 'database.sql')
  const count = isPair ? 2 : 1
  const gateway = resources.use(
    await startGateway({
      cfg: configuration({ ...options, jid, prosody, ircServer, database }),
      bus,
      processes: { frontend: count, router: count, worker: count },
      secrets: { componentPassword: secret, ...(postgres ? { databaseUrl: database } : {}) },
      ...(options.onLine ? { onLine: options.onLine } : {}),
      ...(options.onEvent ? { onEvent: options.onEvent } : {}),
    }),
  )
  if (!options.isImpatient) await gateway.ready(options.signal ? { signal: options.signal } : {})
  return new Stack({ jid, secret, prosody, ircServer, bus, postgres, database, gateway }, resources.move())
}

type Server = AsyncDisposable | BusServer | undefined

/** Waits for all of them, so that those that did start are disposed even when another did not. */
async function inParallel<T extends readonly (Promise<Server> | undefined)[]>(
  resources: AsyncDisposableStack,
  starting: readonly [...T],
): Promise<{ -readonly [K in keyof T]: Awaited<T[K]> }> {
  const settled = await Promise.allSettled(starting)
  for (const result of settled) {
    if (result.status !== 'fulfilled' || result.value === undefined) continue
    resources.use('nats' in result.value ? result.value.nats : result.value)
  }
  return settled.map(result => {
    if (result.status === 'rejected') throw result.reason
    return result.value
  }) as { -readonly [K in keyof T]: Awaited<T[K]> }
}

function configuration(
  options: StackOptions & { jid: string; prosody: ProsodyServer; ircServer: IrcServer; database: string },
): string {
  const { jid, prosody, ircServer, database, network = 'irc', topology, cfg = '', isOpen = false } = options
  const irc = network === 'irc' && !isOpen ? [`irc_server = ${ircServer.host}:${ircServer.port}`] : []
  const databaseLines = topology === 'pair' ? ['type = pqxx'] : ['type = sqlite3', `database = ${database}`]
  return [
    '[service]',
    `jid = ${jid}`,
    'server = 127.0.0.1',
    `port = ${prosody.componentPort}`,
    `backend = ${network}`,
    ...irc,
    '[database]',
    ...databaseLines,
    // Floods are a test's own business.
    ...(network === 'irc' ? ['[irc]', 'flood_rate = 0'] : []),
    ...(isOpen ? ['[egress]', 'allow = 127.0.0.0/8', 'allowed_ports = 1-65535'] : []),
    cfg,
    '',
  ].join('\n')
}
