import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expand, findProgram, type Program, type ProgramSpec } from './programs.ts'
import { Server, startChild } from './server.ts'
import { TemporaryFolder } from './temporary.ts'

const spec: ProgramSpec = {
  name: 'anope',
  debianPath: 'usr/sbin/anope',
  packages: ['anope'],
  versionExitCode: 255,
  recognise: output => /Anope-2\./.test(output),
  what: 'Anope 2 (Debian package anope)',
}

/** Anope as it is found on this machine, or fetched. */
export function findAnope(): Promise<Program> {
  return findProgram(spec)
}

/** What the IRC server and its services agree on. */
export const servicesName = 'services.example.net'
export const servicesPassword = 'linked'

/** What NickServ needs to register, identify and recover nicks, and SASL. */
const modules = ['enc_sha256', 'db_flatfile', 'm_sasl', 'ns_identify', 'ns_recover']

/**
 * Starts Anope beside an InspIRCd that was started with a `servicesPort`: NickServ with REGISTER, IDENTIFY and RECOVER,
 * and SASL. Accounts need no confirmation. Ready when the IRC server knows it.
 */
export async function startAnope(options: { servicesPort: number; onLine?: (line: string) => void }): Promise<Server> {
  const program = await findAnope()
  const folder = await TemporaryFolder.create('anope')
  const [modulesDir = '/usr/lib/anope'] = await expand(program.root, 'usr/lib/anope')
  const dbDir = join(folder.path, 'db')
  for (const name of ['db', 'logs', 'locale']) await mkdir(join(folder.path, name))
  await writeFile(join(folder.path, 'services.motd'), '')
  await writeFile(
    join(folder.path, 'services.conf'),
    `uplink { host = "127.0.0.1"; port = ${options.servicesPort}; password = "${servicesPassword}" }
serverinfo { name = "${servicesName}"; description = "Services"; pid = "${folder.path}/anope.pid"; motd = "${folder.path}/services.motd" }
module { name = "inspircd3" }
networkinfo { networkname = "Example"; nicklen = 31; userlen = 12; hostlen = 64; chanlen = 64; modelistsize = 100
  vhost_chars = "abcdefghijklmnopqrstuvwxyz0123456789.-" }
options { casemap = "rfc1459"; badpasslimit = 0; updatetimeout = 5m; expiretimeout = 30m; readtimeout = 1s; warningtimeout = 4h
  timeoutcheck = 1s; hideprivilegedcommands = yes }
service { nick = "NickServ"; user = "services"; host = "${servicesName}"; gecos = "Nick service" }
module { name = "nickserv"; client = "NickServ"; defaults = ""; regdelay = 0s; expire = 0; secureadmins = yes; killquick = 20s; kill = 60s
  enforceruser = "enforcer"; enforcerhost = "${servicesName}"; releasetimeout = 10s; guestnickprefix = "Guest" }
module { name = "ns_register"; registration = "none" }
${modules.map(name => `module { name = "${name}"${name === 'db_flatfile' ? '; database = "anope.db"' : ''} }`).join('\n')}
command { service = "NickServ"; name = "REGISTER"; command = "nickserv/register" }
command { service = "NickServ"; name = "IDENTIFY"; command = "nickserv/identify" }
command { service = "NickServ"; name = "RECOVER"; command = "nickserv/recover" }
log { target = "services.log"; admin = "*"; other = "*"; servers = "*"; users = "connect disconnect nick" }
`,
    { mode: 0o600 },
  )
  let isLinked = false
  const child = await startChild(
    {
      name: 'anope',
      command: program.command,
      args: [
        '--nofork',
        '--debug',
        `--confdir=${folder.path}`,
        '--config=services.conf',
        `--dbdir=${dbDir}`,
        `--logdir=${join(folder.path, 'logs')}`,
        `--localedir=${join(folder.path, 'locale')}`,
        `--modulesdir=${modulesDir}`,
      ],
      env: program.env,
      cwd: folder.path,
      isReady: () => Promise.resolve(isLinked),
      onLine: line => {
        // The end of the burst in both directions.
        if (/ENDBURST/.test(line)) isLinked = true
        options.onLine?.(line)
      },
    },
    folder,
  )
  return new Server(child, folder.path, folder)
}
