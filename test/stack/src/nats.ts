import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { freePort } from './ports.ts'
import { findProgram, type Program, type ProgramSpec } from './programs.ts'
import { Server, startChild } from './server.ts'
import { TemporaryFolder } from './temporary.ts'
import { waitUntil } from './wait-until.ts'

const spec: ProgramSpec = {
  name: 'nats-server',
  debianPath: 'usr/sbin/nats-server',
  packages: ['nats-server'],
  recognise: output => {
    const [, major, minor] = /nats-server: v(\d+)\.(\d+)/.exec(output) ?? []
    return Number(major) > 2 || (Number(major) === 2 && Number(minor) >= 9)
  },
  what: 'nats-server 2.9 or newer (Debian package nats-server)',
}

/** nats-server as it is found on this machine, or fetched. */
export function findNats(): Promise<Program> {
  return findProgram(spec)
}

/** Where a nats-server is to listen and keep its data. */
export interface NatsPlace {
  readonly host: string
  readonly port: number
  readonly storeDir: string
  readonly cluster?: {
    readonly name: string
    readonly serverName: string
    readonly port: number
    readonly routes: readonly number[]
  }
}

/** How a nats-server is to run. */
export interface NatsOptions {
  /**
   * More configuration, such as an `authorization` block, or what renders the whole of it; without it everybody on
   * loopback may do everything.
   */
  config?: string | ((place: NatsPlace) => string)
  /** Where JetStream keeps its files: a folder that stays. By default one that goes with the server. */
  storeDir?: string
  /** The client port; a free one by default. */
  port?: number
  /** The server's place in a cluster. */
  cluster?: Required<NatsPlace>['cluster']
  /** Called with each line of its log. */
  onLine?: (line: string) => void
}

/** A running nats-server with JetStream. */
export class NatsServer extends Server {
  readonly port: number
  /** Port of its monitoring pages (`/varz`, `/jsz`, `/connz`). */
  readonly monitorPort: number
  /** Where JetStream keeps its files. */
  readonly storeDir: string

  constructor(
    parts: { port: number; monitorPort: number; storeDir: string },
    ...rest: ConstructorParameters<typeof Server>
  ) {
    super(...rest)
    this.port = parts.port
    this.monitorPort = parts.monitorPort
    this.storeDir = parts.storeDir
  }

  /** Address for clients. */
  get url(): string {
    return `nats://127.0.0.1:${this.port}`
  }
}

/** Starts a nats-server with JetStream on loopback. Clients are served from when this returns. */
export async function startNats(options: NatsOptions = {}): Promise<NatsServer> {
  const program = await findNats()
  const folder = await TemporaryFolder.create('nats')
  const port = options.port ?? (await freePort())
  const monitorPort = await freePort()
  const storeDir = options.storeDir ?? join(folder.path, 'store')
  const place = { host: '127.0.0.1', port, storeDir }
  const text =
    typeof options.config === 'function'
      ? options.config({ ...place, ...(options.cluster && { cluster: options.cluster }) })
      : configuration(place, options)
  const config = join(folder.path, 'nats.conf')
  await writeFile(config, `${text}\nhttp: "127.0.0.1:${monitorPort}"\n`)
  const child = await startChild(
    {
      name: 'nats-server',
      command: program.command,
      args: ['-c', config],
      env: program.env,
      isReady: isServing(),
      // It closes clients gently on SIGTERM; SIGINT is its immediate orderly end.
      stopSignal: 'SIGINT',
      ...(options.onLine ? { onLine: options.onLine } : {}),
    },
    folder,
  )
  return new NatsServer({ port, monitorPort, storeDir }, child, folder.path, folder)
}

function configuration(place: { host: string; port: number; storeDir: string }, options: NatsOptions): string {
  const lines = [
    `listen: "${place.host}:${place.port}"`,
    `jetstream { store_dir: ${JSON.stringify(place.storeDir)} }`,
    ...(typeof options.config === 'string' ? [options.config] : []),
  ]
  if (options.cluster) {
    const { name, serverName, port, routes } = options.cluster
    const list = routes.map(route => `"nats://${place.host}:${route}"`).join(', ')
    lines.push(
      `server_name: ${serverName}`,
      `cluster { name: ${name}, listen: "${place.host}:${port}", routes: [${list}] }`,
    )
  }
  return lines.join('\n')
}

/** True once this run has said that it serves: a restarted server's log still holds what earlier runs said. */
function isServing(): (child: { lines: string[]; pid: number }) => boolean {
  return child => child.lines.some(line => line.startsWith(`[${child.pid}]`) && line.includes('Server is ready'))
}

/** Several nats-servers that keep JetStream data together. */
export class NatsCluster implements AsyncDisposable {
  readonly servers: readonly NatsServer[]

  constructor(servers: readonly NatsServer[]) {
    this.servers = servers
  }

  /** Addresses of all servers. */
  get urls(): string[] {
    return this.servers.map(server => server.url)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.servers.map(server => server[Symbol.asyncDispose]()))
  }
}

/** Starts a JetStream cluster of this many nodes on loopback, and waits until it has a leader. */
export async function startNatsCluster(size: number, options: Pick<NatsOptions, 'config'> = {}): Promise<NatsCluster> {
  const routes = await Promise.all(Array.from({ length: size }, () => freePort()))
  const starting = routes.map((port, index) =>
    startNats({ ...options, cluster: { name: 'spectrum', serverName: `node${index + 1}`, port, routes } }),
  )
  const settled = await Promise.allSettled(starting)
  const servers = settled.filter(result => result.status === 'fulfilled').map(result => result.value)
  const cluster = new NatsCluster(servers)
  try {
    for (const result of settled) if (result.status === 'rejected') throw result.reason
    await waitUntil(() => servers.some(server => server.log.includes('new metadata leader')), {
      deadlineMs: 60_000,
      describe: () => `the NATS cluster has no leader:\n${servers.map(server => server.log).join('\n')}`,
    })
    return cluster
  } catch (error) {
    await cluster[Symbol.asyncDispose]()
    throw error
  }
}
