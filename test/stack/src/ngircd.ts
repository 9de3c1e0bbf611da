import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { isRoot } from './environment.ts'
import { IrcServer, type IrcServerOptions } from './irc-server.ts'
import { freePort, isListening } from './ports.ts'
import { findProgram, type Program, type ProgramSpec } from './programs.ts'
import { startChild } from './server.ts'
import { TemporaryFolder } from './temporary.ts'

const spec: ProgramSpec = {
  name: 'ngircd',
  debianPath: 'usr/sbin/ngircd',
  packages: ['ngircd'],
  recognise: output => /^ngIRCd (2[5-9]|[3-9]\d)/m.test(output),
  what: 'ngIRCd 25 or newer (Debian package ngircd)',
}

/** ngIRCd as it is found on this machine, or fetched. */
export function findNgircd(): Promise<Program> {
  return findProgram(spec)
}

export interface NgircdOptions extends IrcServerOptions {
  /** A client that is silent for so long is pinged; default 600 s. */
  pingTimeoutSeconds?: number
  /** One that does not answer for so long is dropped; default 120 s. */
  pongTimeoutSeconds?: number
}

/** Starts an ngIRCd on loopback: lets clients in at once, speaks plain RFC 2812 with few extensions. No flood limits. */
export async function startNgircd(options: NgircdOptions = {}): Promise<IrcServer> {
  const program = await findNgircd()
  const folder = await TemporaryFolder.create('ngircd')
  const port = options.port ?? (await freePort())
  const config = join(folder.path, 'ngircd.conf')
  const asRoot = isRoot ? 'ServerUID = root\nServerGID = root\n' : ''
  await writeFile(
    config,
    `[Global]
Name = irc.example.net
Info = Test server
AdminEMail = admin@example.net
Listen = 127.0.0.1
Ports = ${port}
MotdPhrase = Welcome
${options.password === undefined ? '' : `Password = ${options.password}\n`}${asRoot}
[Limits]
MaxConnections = 0
MaxConnectionsIP = 0
MaxJoins = 0
MaxNickLength = 31
MaxPenaltyTime = 0
PingTimeout = ${options.pingTimeoutSeconds ?? 600}
PongTimeout = ${options.pongTimeoutSeconds ?? 120}
[Options]
DNS = no
Ident = no
PAM = no
CloakHost = loopback
`,
    { mode: 0o600 },
  )
  const child = await startChild(
    {
      name: 'ngircd',
      command: program.command,
      args: ['--nodaemon', '--config', config],
      env: program.env,
      cwd: folder.path,
      isReady: () => isListening(port),
      ...(options.onLine ? { onLine: options.onLine } : {}),
    },
    folder,
  )
  return new IrcServer(port, child, folder.path, folder)
}
