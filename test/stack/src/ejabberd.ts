import { mkdir, writeFile } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { unpackedPackages } from './debian.ts'
import { freePort, isListening } from './ports.ts'
import { expand, MissingProgramError } from './programs.ts'
import { Server, startChild } from './server.ts'
import { TemporaryFolder } from './temporary.ts'

/** How an ejabberd is to run. */
export interface EjabberdOptions {
  /**
   * The component it lets in, several times at once: its stanzas are shared out by the sender's bare JID over so many
   * connections (23.01 refuses every component when balancing is set without a number); 2 by default.
   */
  component?: { jid: string; secret: string; connections?: number }
  /** Accounts on {@link domain}. */
  users?: readonly { name: string; password: string }[]
  /** The domain of the accounts; `localhost` by default. */
  domain?: string
  /** Further global settings, as YAML. */
  config?: string
  /** Called with each line of its log. */
  onLine?: (line: string) => void
}

/** A running ejabberd. */
export class EjabberdServer extends Server {
  readonly domain: string
  /** Port for clients; plain passwords without TLS are allowed, as it listens on loopback only. */
  readonly clientPort: number
  /** Port for components (XEP-0114). */
  readonly componentPort: number
  readonly #apiPort: number

  constructor(
    parts: { domain: string; clientPort: number; componentPort: number; apiPort: number },
    ...rest: ConstructorParameters<typeof Server>
  ) {
    super(...rest)
    this.domain = parts.domain
    this.clientPort = parts.clientPort
    this.componentPort = parts.componentPort
    this.#apiPort = parts.apiPort
  }

  /** Adds an account. Throws when it exists already. One killed within three seconds forgets it: its tables are written late. */
  async addUser(name: string, password: string): Promise<void> {
    const response = await fetch(`http://127.0.0.1:${this.#apiPort}/api/register`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ user: name, host: this.domain, password }),
      signal: AbortSignal.timeout(10_000),
    })
    const answer = await response.text()
    if (!response.ok) throw new Error(`ejabberd did not add ${name}: ${response.status} ${answer}`)
  }
}

/** Starts an ejabberd on loopback with clients and a component, and no connections to other servers or nodes. */
export async function startEjabberd(options: EjabberdOptions = {}): Promise<EjabberdServer> {
  const program = await findEjabberd()
  const folder = await TemporaryFolder.create('ejabberd')
  const domain = options.domain ?? 'localhost'
  const [clientPort, componentPort, apiPort] = [await freePort(), await freePort(), await freePort()]
  const config = join(folder.path, 'ejabberd.yml')
  await writeFile(config, configuration({ ...options, domain, clientPort, componentPort, apiPort }), { mode: 0o600 })
  await mkdir(join(folder.path, 'data'))
  await mkdir(join(folder.path, 'log'))
  const child = await startChild(
    {
      name: 'ejabberd',
      command: program.command,
      // Without a node name it opens no port to other Erlang nodes and starts no port mapper.
      args: ['+K', 'true', '-noinput', '-mnesia', 'dir', JSON.stringify(join(folder.path, 'data')), '-s', 'ejabberd'],
      env: {
        ...program.env,
        HOME: folder.path,
        EJABBERD_CONFIG_PATH: config,
        EJABBERD_LOG_PATH: join(folder.path, 'log/ejabberd.log'),
        ERL_CRASH_DUMP: join(folder.path, 'log/erl_crash.dump'),
      },
      cwd: folder.path,
      isReady: async () =>
        (await isListening(clientPort)) && (await isListening(componentPort)) && (await isListening(apiPort)),
      readyWithinMs: 60_000,
      ...(options.onLine ? { onLine: options.onLine } : {}),
    },
    folder,
  )
  const server = new EjabberdServer({ domain, clientPort, componentPort, apiPort }, child, folder.path, folder)
  try {
    for (const user of options.users ?? []) await server.addUser(user.name, user.password)
    return server
  } catch (error) {
    await server[Symbol.asyncDispose]()
    throw error
  }
}

/** ejabberd as it was found, and the Erlang that runs it. */
export interface EjabberdProgram {
  version: string
  /**
   * Erlang's inner launcher: `erl` and `ejabberdctl` are scripts with fixed paths and users of their own, this gets its paths in
   * the environment.
   */
  command: string
  /** The folder that stands for `/` of what was unpacked; `/` for one that is installed. */
  root: string
  env: Record<string, string>
}

let found: Promise<EjabberdProgram> | undefined

/** ejabberd from Debian's places, else from Debian packages that are fetched and unpacked. */
export function findEjabberd(): Promise<EjabberdProgram> {
  found ??= (async () => (await ejabberdBelow('/')) ?? fetchEjabberd())()
  found.catch(() => {
    found = undefined
  })
  return found
}

async function fetchEjabberd(): Promise<EjabberdProgram> {
  let reason = 'the package holds no ejabberd'
  try {
    const program = await ejabberdBelow(await unpackedPackages('ejabberd', ['ejabberd']))
    if (program) return program
  } catch (error) {
    reason = (error as Error).message
  }
  throw new MissingProgramError(
    `Please install ejabberd 23 (Debian package ejabberd): it is not on this machine and could not be fetched (${reason}).`,
  )
}

async function ejabberdBelow(root: string): Promise<EjabberdProgram | undefined> {
  const [application] = await expand(root, 'usr/lib/*-linux-gnu*/ejabberd-*/ebin/ejabberd.app')
  const [command] = await expand(root, 'usr/lib/erlang/erts-*/bin/erlexec')
  if (application === undefined || command === undefined) return undefined
  const libraries = join(application, '../../..')
  const env = {
    ROOTDIR: join(root, 'usr/lib/erlang'),
    BINDIR: dirname(command),
    EMU: 'beam',
    PROGNAME: 'erl',
    ERL_LIBS: libraries,
    ...(root === '/' ? {} : { LD_LIBRARY_PATH: libraries }),
  }
  return { version: basename(join(application, '../..')).replace('-', ' '), command, root, env }
}

function configuration(
  options: EjabberdOptions & { domain: string; clientPort: number; componentPort: number; apiPort: number },
): string {
  const { component, domain, clientPort, componentPort, apiPort, config = '' } = options
  const text = (value: string) => JSON.stringify(value)
  const hosts = component
    ? `    hosts:\n      ${text(component.jid)}:\n        password: ${text(component.secret)}\n`
    : '    access: all\n'
  const balancing = component
    ? `domain_balancing:\n  ${text(component.jid)}:\n    type: bare_source\n    component_number: ${component.connections ?? 2}\n`
    : ''
  return `hosts: [${text(domain)}]
loglevel: warning
auth_method: mnesia
auth_password_format: plain
disable_sasl_mechanisms: [digest-md5, scram-sha-1, scram-sha-256, scram-sha-512, x-oauth2]
s2s_access: none
registration_timeout: infinity
listen:
  -
    port: ${clientPort}
    ip: "127.0.0.1"
    module: ejabberd_c2s
    access: all
    max_fsm_queue: 1000000
  -
    port: ${componentPort}
    ip: "127.0.0.1"
    module: ejabberd_service
    max_fsm_queue: 1000000
${hosts}  -
    port: ${apiPort}
    ip: "127.0.0.1"
    module: ejabberd_http
    request_handlers:
      /api: mod_http_api
${balancing}api_permissions:
  "accounts of tests":
    who: [{ip: "127.0.0.1/8"}]
    what: [register, change_password, status]
acl:
  everybody: {user_regexp: ""}
modules:
  mod_http_api: {}
  mod_roster: {}
  mod_ping: {}
  mod_disco: {}
  mod_caps: {}
  mod_carboncopy: {}
  mod_stream_mgmt: {resend_on_timeout: if_offline, max_ack_queue: 100000}
  mod_private: {}
  mod_vcard: {}
  mod_time: {}
  mod_version: {}
  mod_last: {}
  mod_blocking: {}
  mod_privacy: {}
  mod_pubsub: {plugins: [flat, pep]}
${config}`
}
