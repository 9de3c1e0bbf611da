import { createUser } from '@nats-io/nkeys'
import type { ServiceName } from './options.ts'
import { permissionsOf } from './permissions.ts'

/** What a NATS server that carries the bus is told. */
export interface NatsServerOptions {
  host: string
  port: number
  storeDir: string
  /** Absent: no authorization (tests). */
  users?: Record<ServiceName, { publicKey: string }>
  /** Keys of the instances it carries; narrows what each service may purge and delete (see {@link permissionsOf}). */
  instances?: readonly string[]
  tls?: { certFile: string; keyFile: string; caFile: string }
  cluster?: { name: string; port: number; routes: string[] }
  serverName?: string
  maxFileStoreBytes?: number
}

/** A nats-server configuration file (2.9 or newer): one user per service with its permissions, TLS, JetStream. */
export function natsServerConfig(options: NatsServerOptions): string {
  const { host, port, storeDir, users, instances, tls, cluster, serverName, maxFileStoreBytes } = options
  const lines = [
    `host: ${quote(host)}`,
    `port: ${port}`,
    ...(serverName ? [`server_name: ${quote(serverName)}`] : []),
    'jetstream {',
    `  store_dir: ${quote(storeDir)}`,
    ...(maxFileStoreBytes ? [`  max_file_store: ${maxFileStoreBytes}`] : []),
    '}',
    ...(tls ? tlsBlock(tls, '') : []),
    ...(users ? authorization(users, instances) : []),
  ]
  if (cluster) {
    lines.push(
      'cluster {',
      `  name: ${quote(cluster.name)}`,
      `  host: ${quote(host)}`,
      `  port: ${cluster.port}`,
      `  routes: [${cluster.routes.map(quote).join(', ')}]`,
      ...(tls ? tlsBlock(tls, '  ') : []),
      '}',
    )
  }
  return `${lines.join('\n')}\n`
}

/** A new NATS user: the seed is its secret, the public key goes into the server's configuration. */
export function createNkeys(): { seed: string; publicKey: string } {
  const user = createUser()
  return { seed: Buffer.from(user.getSeed()).toString('ascii'), publicKey: user.getPublicKey() }
}

function tlsBlock(tls: NonNullable<NatsServerOptions['tls']>, indent: string): string[] {
  return [
    'tls {',
    `  cert_file: ${quote(tls.certFile)}`,
    `  key_file: ${quote(tls.keyFile)}`,
    `  ca_file: ${quote(tls.caFile)}`,
    '  timeout: 5',
    '}',
  ].map(line => indent + line)
}

function authorization(users: Record<ServiceName, { publicKey: string }>, instances?: readonly string[]): string[] {
  const entries = (Object.entries(users) as [ServiceName, { publicKey: string }][]).flatMap(([service, user]) => {
    const { publish, subscribe, answersRequests } = permissionsOf(service, instances)
    return [
      '    {',
      `      nkey: ${user.publicKey} # ${service}`,
      '      permissions {',
      `        publish { allow: ${list(publish.allow)}, deny: ${list(publish.deny)} }`,
      `        subscribe { allow: ${list(subscribe.allow)} }`,
      ...(answersRequests ? ['        allow_responses { max: 1, expires: "60s" }'] : []),
      '      }',
      '    }',
    ]
  })
  return ['authorization {', '  users = [', ...entries, '  ]', '}']
}

const list = (subjects: readonly string[]): string => `[${subjects.map(quote).join(', ')}]`
const quote = (text: string): string => JSON.stringify(text)
