// A real IRC server with every flood limit off, so that it never is the brake.

import { spawn } from 'node:child_process'
import fs from 'node:fs'
import path from 'node:path'
import { stopChild, waitPort } from './proc.mjs'
import { findIrcd } from './programs.mjs'

export async function startIrcd({ kind = 'inspircd', ...o }) {
  fs.mkdirSync(o.dir, { recursive: true })
  const f = { inspircd, ngircd }[kind]
  if (!f) throw new Error(`no such IRC server: ${kind}`)
  return f({ ...o, program: await findIrcd(kind) })
}
async function run(args, { dir, host, port, program }) {
  const out = fs.openSync(path.join(dir, 'ircd.out'), 'w')
  const child = spawn(program.command, args, {
    stdio: ['ignore', out, out],
    cwd: dir,
    env: { ...process.env, ...program.env },
  })
  await waitPort(port, host).catch(async e => {
    await stopChild(child)
    throw e
  })
  return { pid: child.pid, stop: () => stopChild(child) }
}
// Fast for messages, but lets clients in once a second only (join times have a floor of 1 s).
function inspircd({ dir, host, port, alias, program }) {
  const conf = path.join(dir, 'inspircd.conf')
  const binds = [[host, port], ...(alias ? [[alias, 6667]] : [])]
  fs.writeFileSync(path.join(dir, 'motd.txt'), 'bench\n')
  fs.writeFileSync(
    conf,
    `
<module name="cap">
<module name="ircv3">
<module name="ircv3_servertime">
<module name="ircv3_echomessage">
<module name="namesx">
<server name="irc.bench" description="bench" network="Bench" id="00B">
<admin name="bench" nick="bench" email="bench@bench">
${binds.map(([a, p]) => `<bind address="${a}" port="${p}" type="clients">`).join('\n')}
<connect name="main" allow="*" timeout="60" pingfreq="10m" hardsendq="1G" softsendq="1G" recvq="64M"
  threshold="1000000" commandrate="2000000000" fakelag="no" localmax="100000" globalmax="100000" maxchans="20000"
  maxconnwarn="no" resolvehostnames="no" useident="no" limit="100000" modes="">
<cidr ipv4clone="32" ipv6clone="128">
<files motd="${dir}/motd.txt">
<options prefixquit="Quit: " defaultmodes="not" casemapping="ascii" splitwhois="no">
<performance netbuffersize="65534" somaxconn="4096" softlimit="100000" clonesonconnect="no" quietbursts="yes">
<security userstats="Pu" maxtargets="20">
<limits maxnick="31" maxchan="64" maxident="12">
<log method="file" type="* -USERINPUT -USEROUTPUT" level="default" target="${dir}/ircd.log">
<pid file="${dir}/inspircd.pid">
<path configdir="${dir}"${program.moduleDir === undefined ? '' : ` moduledir="${program.moduleDir}"`} datadir="${dir}" logdir="${dir}" runtimedir="${dir}">
`,
  )
  return run(['--nofork', '--runasroot', '--nopid', `--config=${conf}`], { dir, host, port, program })
}
// Lets clients in at once: the one for join storms.
function ngircd({ dir, host, port, program }) {
  const conf = path.join(dir, 'ngircd.conf')
  fs.writeFileSync(
    conf,
    `[Global]
Name = irc.bench
Info = bench
Listen = ${host}
Ports = ${port}
MotdPhrase = bench
ServerUID = root
ServerGID = root
[Limits]
MaxConnections = 0
MaxConnectionsIP = 0
MaxJoins = 0
MaxNickLength = 31
MaxPenaltyTime = 0
PingTimeout = 600
PongTimeout = 120
[Options]
DNS = no
Ident = no
PAM = no
SyslogFacility = none
`,
  )
  return run(['--nodaemon', '--config', conf], { dir, host, port, program })
}
