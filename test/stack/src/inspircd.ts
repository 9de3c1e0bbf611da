import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { servicesName, servicesPassword } from './anope.ts'
import { isRoot } from './environment.ts'
import { IrcServer, type IrcServerOptions } from './irc-server.ts'
import { freePort, isListening } from './ports.ts'
import { expand, findProgram, type Program, type ProgramSpec } from './programs.ts'
import { startChild } from './server.ts'
import { TemporaryFolder } from './temporary.ts'

const spec: ProgramSpec = {
  name: 'inspircd',
  debianPath: 'usr/sbin/inspircd',
  packages: ['inspircd'],
  versionArgs: isRoot ? ['--runasroot', '--version'] : ['--version'],
  recognise: output => /InspIRCd-[34]\./.test(output),
  what: 'InspIRCd 3 (Debian package inspircd)',
}

/** InspIRCd as it is found on this machine, or fetched. */
export function findInspircd(): Promise<Program> {
  return findProgram(spec)
}

/** Modules for the IRCv3 extensions that it has, and what tests need. */
const modules = [
  'cap',
  'ircv3',
  'ircv3_batch',
  'ircv3_echomessage',
  'ircv3_labeledresponse',
  'ircv3_msgid',
  'ircv3_servertime',
  'namesx',
  'uhnames',
  'banredirect',
  'services_account',
  'chghost',
  'monitor',
  'invitenotify',
  'ircv3_invitenotify',
]

export interface InspircdOptions extends IrcServerOptions {
  /** A free port on which it waits for services ({@link startAnope}); by default it has none, and no SASL. */
  servicesPort?: number
}

/** What it needs for services: links to servers, and SASL, which they answer. */
const servicesModules = ['spanningtree', 'sasl', 'hidechans', 'globops', 'chgident']

/**
 * Starts an InspIRCd on loopback: many IRCv3 extensions; lets waiting clients in once a second. No connection
 * throttle and no flood limits.
 */
export async function startInspircd(options: InspircdOptions = {}): Promise<IrcServer> {
  const program = await findInspircd()
  const folder = await TemporaryFolder.create('inspircd')
  const port = options.port ?? (await freePort())
  const config = join(folder.path, 'inspircd.conf')
  const moduleDir = [
    ...(await expand(program.root, 'usr/lib/inspircd/modules')),
    ...(await expand(program.root, 'usr/lib/*-linux-gnu*/inspircd/modules')),
  ][0]
  const available = moduleDir === undefined ? [] : await expand(moduleDir, 'm_*.so')
  const services = options.servicesPort === undefined ? [] : servicesModules
  const wanted = [...modules, ...services].filter(name => available.some(path => path.endsWith(`/m_${name}.so`)))
  const dirs = ['configdir', 'datadir', 'logdir', 'runtimedir'].map(name => `${name}="${folder.path}"`).join(' ')
  await writeFile(join(folder.path, 'motd.txt'), 'Welcome\n')
  await writeFile(
    config,
    `<path ${dirs}${moduleDir === undefined ? '' : ` moduledir="${moduleDir}"`}>
${wanted.map(name => `<module name="${name}">`).join('\n')}
<server name="irc.example.net" description="Test server" network="Example" id="00A">
<admin name="admin" nick="admin" email="admin@example.net">
<bind address="127.0.0.1" port="${port}" type="clients">
<connect name="main" allow="*" timeout="60" pingfreq="10m" hardsendq="1G" softsendq="1G" recvq="64M"
  threshold="1000000" commandrate="2000000000" fakelag="no" localmax="100000" globalmax="100000" maxchans="20000"
  maxconnwarn="no" resolvehostnames="no" useident="no" limit="100000" modes=""${options.password === undefined ? '' : ` password="${options.password}"`}>
${options.servicesPort === undefined ? '' : servicesLink(options.servicesPort)}<cidr ipv4clone="32" ipv6clone="128">
<files motd="${folder.path}/motd.txt">
<options prefixquit="Quit: " defaultmodes="not" casemapping="rfc1459" splitwhois="no">
<performance netbuffersize="65534" somaxconn="4096" softlimit="100000" clonesonconnect="no" quietbursts="yes">
<security userstats="Pu" maxtargets="20">
<limits maxnick="31" maxchan="64" maxident="12">
<log method="stderr" type="* -USERINPUT -USEROUTPUT" level="default" target="stderr">
<pid file="${folder.path}/inspircd.pid">
`,
    { mode: 0o600 },
  )
  const child = await startChild(
    {
      name: 'inspircd',
      command: program.command,
      args: ['--nofork', '--nopid', ...(isRoot ? ['--runasroot'] : []), `--config=${config}`],
      env: program.env,
      cwd: folder.path,
      isReady: () => isListening(port),
      ...(options.onLine ? { onLine: options.onLine } : {}),
    },
    folder,
  )
  return new IrcServer(port, child, folder.path, folder)
}

const servicesLink = (port: number): string => `<bind address="127.0.0.1" port="${port}" type="servers">
<link name="${servicesName}" ipaddr="127.0.0.1" port="${port}" allowmask="127.0.0.1" sendpass="${servicesPassword}" recvpass="${servicesPassword}">
<uline server="${servicesName}" silent="yes">
<sasl target="${servicesName}" requiressl="no">
`
