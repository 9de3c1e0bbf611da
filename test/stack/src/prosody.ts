import { existsSync } from 'node:fs'
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { unpackedPackages } from './debian.ts'
import { isRoot, onPath } from './environment.ts'
import { freePort, isListening } from './ports.ts'
import { expand, interpreterOf, MissingProgramError } from './programs.ts'
import { Server, startChild } from './server.ts'
import { TemporaryFolder } from './temporary.ts'

/** How a Prosody is to run. */
export interface ProsodyOptions {
  /** Components it lets in, one or several. */
  component?: { jid: string; secret: string } | readonly { jid: string; secret: string }[]
  /** Accounts on {@link domain}. */
  users?: readonly { name: string; password: string }[]
  /** The domain of the accounts; `localhost` by default. */
  domain?: string
  /** What it does when a component connects a second time. Its own default is `kick_new`. */
  conflictResolve?: 'kick_old' | 'kick_new'
  /** Further global settings, in its own syntax. */
  config?: string
  /** Ports; free ones by default. */
  clientPort?: number
  componentPort?: number
  /** Called with each line of its log. */
  onLine?: (line: string) => void
}

/** A running Prosody. */
export class ProsodyServer extends Server {
  readonly domain: string
  /** Port for clients; plain passwords without TLS are allowed, as it listens on loopback only. */
  readonly clientPort: number
  /** Port for components (XEP-0114). */
  readonly componentPort: number

  constructor(
    parts: { domain: string; clientPort: number; componentPort: number },
    ...rest: ConstructorParameters<typeof Server>
  ) {
    super(...rest)
    this.domain = parts.domain
    this.clientPort = parts.clientPort
    this.componentPort = parts.componentPort
  }

  /** Adds an account, or changes its password. */
  async addUser(name: string, password: string): Promise<void> {
    await writeAccount(this.dir, this.domain, name, password)
  }
}

async function writeAccount(dir: string, domain: string, name: string, password: string): Promise<void> {
  const folder = join(dir, 'data', encodeName(domain), 'accounts')
  await mkdir(folder, { recursive: true })
  const account = `return {\n\t["password"] = ${JSON.stringify(password)};\n};\n`
  await writeFile(join(folder, `${encodeName(name)}.dat`), account, { mode: 0o600 })
}

/** Starts a Prosody on loopback with clients and components, and no connections to other servers. */
export async function startProsody(options: ProsodyOptions = {}): Promise<ProsodyServer> {
  const program = await findProsody()
  const folder = await TemporaryFolder.create('prosody')
  const domain = options.domain ?? 'localhost'
  const clientPort = options.clientPort ?? (await freePort())
  const componentPort = options.componentPort ?? (await freePort())
  const hasComponents = [options.component ?? []].flat().length > 0
  const config = join(folder.path, 'prosody.cfg.lua')
  await mkdir(join(folder.path, 'certs'))
  await writeFile(config, configuration({ ...options, domain, clientPort, componentPort, dir: folder.path }), {
    mode: 0o600,
  })
  const launcher = join(folder.path, 'prosody.lua')
  await writeFile(launcher, await program.launcher(folder.path))
  for (const user of options.users ?? []) await writeAccount(folder.path, domain, user.name, user.password)
  const child = await startChild(
    {
      name: 'prosody',
      command: program.interpreter,
      args: [launcher, '--config', config, '-F'],
      env: program.env,
      cwd: folder.path,
      // Without components it does not open their port.
      isReady: async () => (await isListening(clientPort)) && (!hasComponents || (await isListening(componentPort))),
      ...(options.onLine ? { onLine: options.onLine } : {}),
    },
    folder,
  )
  return new ProsodyServer({ domain, clientPort, componentPort }, child, folder.path, folder)
}

/** Prosody as it was found, and how to run it. */
export interface ProsodyProgram {
  version: string
  interpreter: string
  env: Record<string, string>
  /** Prosody's start script, changed to keep its configuration and data in a folder of ours. */
  launcher: (dir: string) => Promise<string>
}

let found: Promise<ProsodyProgram> | undefined

/** Prosody 0.12 or newer from the search path, else from Debian packages. It is a script, so it is told by its version file. */
export function findProsody(): Promise<ProsodyProgram> {
  found ??= (async () => {
    const installed = onPath('prosody')
    const program = installed === undefined ? undefined : await prosodyAt('/', installed)
    return program ?? fetchProsody()
  })()
  found.catch(() => {
    found = undefined
  })
  return found
}

/** Prosody from Debian packages, whether or not one is installed. */
export async function fetchProsody(): Promise<ProsodyProgram> {
  let reason = 'the package is too old'
  try {
    const root = await unpackedPackages('prosody', ['prosody'])
    const program = await prosodyAt(root, join(root, 'usr/bin/prosody'))
    if (program) return program
  } catch (error) {
    reason = (error as Error).message
  }
  throw new MissingProgramError(
    `Please install Prosody 0.12 or newer (Debian package prosody): it is not on this machine and could not be fetched (${reason}).`,
  )
}

async function prosodyAt(root: string, script: string): Promise<ProsodyProgram | undefined> {
  const text = await readFile(script, 'utf8')
  const source = join(root, /^CFG_SOURCEDIR\s*=\s*'([^']*)'/m.exec(text)?.[1] ?? '/usr/lib/prosody')
  const version = await readFile(join(source, 'prosody.version'), 'utf8').catch(() => '')
  const [, major, minor] = /^(\d+)\.(\d+)/.exec(version.trim()) ?? []
  if (!(Number(major) > 0 || Number(minor) >= 12)) return undefined
  const name = interpreterOf(script)
  const interpreter = [join(root, 'usr/bin', name), onPath(name)].find(path => path !== undefined && existsSync(path))
  if (interpreter === undefined) return undefined
  const launcher = async (dir: string) =>
    Object.entries({
      SOURCEDIR: source,
      PLUGINDIR: join(source, 'modules/'),
      CONFIGDIR: dir,
      DATADIR: join(dir, 'data'),
    }).reduce(
      (script, [key, value]) =>
        script.replace(new RegExp(`^CFG_${key}\\s*=.*$`, 'm'), `CFG_${key}=${JSON.stringify(value)};`),
      text.replace(/^#!.*\n/, ''),
    )
  return { version: version.trim(), interpreter, env: root === '/' ? {} : await luaEnvironment(root, name), launcher }
}

/** Where Lua finds modules and libraries of what was unpacked; `;;` stands for its own places. */
async function luaEnvironment(root: string, interpreter: string): Promise<Record<string, string>> {
  const version = /\d+\.\d+/.exec(interpreter)?.[0] ?? '5.4'
  const libraries = await expand(root, 'usr/lib/*-linux-gnu*')
  const share = join(root, 'usr/share/lua', version)
  return {
    LD_LIBRARY_PATH: libraries.join(':'),
    LUA_PATH: `${share}/?.lua;${share}/?/init.lua;;`,
    LUA_CPATH: `${libraries.map(folder => `${folder}/lua/${version}/?.so`).join(';')};;`,
  }
}

function configuration(
  options: ProsodyOptions & { domain: string; clientPort: number; componentPort: number; dir: string },
): string {
  const components = [options.component ?? []].flat()
  return `${isRoot ? 'run_as_root = true\n' : ''}data_path = ${JSON.stringify(join(options.dir, 'data'))}
certificates = ${JSON.stringify(join(options.dir, 'certs'))}
log = { info = "*console" }
interfaces = { "127.0.0.1" }
c2s_ports = { ${options.clientPort} }
component_ports = { ${options.componentPort} }
component_interfaces = { "127.0.0.1" }
http_ports = {}
https_ports = {}
modules_enabled = { "roster"; "saslauth"; "disco"; "ping"; "carbons"; "smacks"; "pep"; "private"; "vcard"; "time"; "version"; "uptime"; "blocklist" }
modules_disabled = { "s2s"; "tls" }
authentication = "internal_plain"
c2s_require_encryption = false
allow_unencrypted_plain_auth = true
${options.conflictResolve === undefined ? '' : `component_conflict_resolve = "${options.conflictResolve}"\n`}${options.config ?? ''}
VirtualHost ${JSON.stringify(options.domain)}
${components.map(({ jid, secret }) => `Component ${JSON.stringify(jid)}\n\tcomponent_secret = ${JSON.stringify(secret)}\n`).join('')}`
}

/** File names as Prosody's own storage spells them: anything but letters and digits as `%` and two hex digits. */
function encodeName(name: string): string {
  const encode = (char: string) => [...Buffer.from(char)].map(byte => `%${byte.toString(16).padStart(2, '0')}`).join('')
  return name.replace(/[^A-Za-z0-9]/gu, encode)
}
