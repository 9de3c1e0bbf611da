// A gateway under test, described by a small JSON adapter (see README.md).

import { spawn } from 'node:child_process'
import fs from 'node:fs'
import path from 'node:path'
import { cpu, memory, stopChild } from './proc.mjs'
import { findPeer } from './programs.mjs'
import { attr, esc } from './xml.mjs'

const fill = (t, v) => t.replace(/\{(\w+)\}/g, (m, k) => (k in v ? String(v[k]) : m))
export class Gateway {
  constructor(adapter, vars) {
    this.a = adapter
    this.name = adapter.name
    this.vars = { ...vars, domain: adapter.domain }
    if (adapter.server) this.vars.server = fill(adapter.server, this.vars)
    else this.vars.server = this.vars.ircHost
  }
  async start() {
    const { a, vars } = this
    fs.mkdirSync(vars.dir, { recursive: true })
    for (const [f, lines] of Object.entries(a.files ?? {})) {
      fs.writeFileSync(path.join(vars.dir, f), fill(Array.isArray(lines) ? lines.join('\n') + '\n' : lines, vars))
    }
    if (!a.command) {
      // already running, started by hand: only its pid is needed
      this.pid = Number(a.pid)
      if (!this.pid) throw new Error(`adapter ${a.name}: neither "command" nor "pid"`)
      return
    }
    const cmd = a.command.map(x => fill(x, vars))
    const program = await findPeer(cmd[0])
    const env = { ...process.env, ...program.env }
    for (const [k, v] of Object.entries(a.env ?? {})) env[k] = fill(v, vars)
    const out = fs.openSync(path.join(vars.dir, 'gateway.out'), 'w')
    this.child = spawn(program.command, cmd.slice(1), {
      cwd: a.cwd ? fill(a.cwd, vars) : vars.dir,
      env,
      stdio: ['ignore', out, out],
    })
    this.child.on('error', e => {
      this.startError = e
    })
    this.child.on('exit', (c, s) => {
      this.exited = `exit code ${c}, signal ${s}`
    })
    this.pid = this.child.pid
  }
  stop() {
    return stopChild(this.child)
  }
  cpu() {
    return cpu([this.pid])
  }
  memory() {
    return memory([this.pid])
  }
  room(chan) {
    return fill(this.a.room ?? '{chan}%{server}@{domain}', { ...this.vars, chan })
  }
  pm(nick, chan) {
    return fill(this.a.pm ?? '{nick}%{server}@{domain}', { ...this.vars, nick, chan })
  }

  // Once per user, outside every measured interval.
  async prepare(u) {
    for (const step of this.a.prepare ?? []) {
      const v = { ...this.vars, user: u.local, nick: u.nick ?? u.local }
      if (step.register) {
        // XEP-0077
        const f = Object.entries(step.register)
          .map(([k, x]) => `<${k}>${esc(fill(x, v))}</${k}>`)
          .join('')
        await u.iq('set', fill(step.to ?? '{domain}', v), `<query xmlns='jabber:iq:register'>${f}</query>`)
      } else if (step.presence !== undefined) {
        // presence to the gateway itself (log in)
        u.presence(fill(step.presence, v))
      } else if (step.adhoc) {
        // XEP-0050 with one form
        const to = fill(step.adhoc, v),
          node = esc(step.node)
        const r = await u.iq(
          'set',
          to,
          `<command xmlns='http://jabber.org/protocol/commands' node='${node}' action='execute'/>`,
        )
        const sid = /sessionid=["']([^"']*)["']/.exec(r)?.[1]
        const fields = Object.entries(step.fields)
          .map(([k, val]) => {
            const vals = val === null ? [] : Array.isArray(val) ? val : [val]
            return `<field var='${esc(k)}'>${vals.map(x => `<value>${esc(fill(String(x), v))}</value>`).join('')}</field>`
          })
          .join('')
        await u.iq(
          'set',
          to,
          `<command xmlns='http://jabber.org/protocol/commands' node='${node}' sessionid='${sid}' action='${step.action ?? 'complete'}'><x xmlns='jabber:x:data' type='submit'>${fields}</x></command>`,
        )
      } else if (step.message) {
        u.send('message', ` to='${esc(fill(step.message, v))}' type='chat'`, `<body>${esc(fill(step.body, v))}</body>`)
      } else if (step.sleepMs) await new Promise(r => setTimeout(r, step.sleepMs))
    }
  }
}
export function loadAdapter(file) {
  return JSON.parse(fs.readFileSync(file, 'utf8'))
}
