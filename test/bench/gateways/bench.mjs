#!/usr/bin/env node
// Side-by-side benchmark of XMPP<->IRC gateways. See README.md.
import fs from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { ProsodyFabric } from './lib/c2s.mjs'
import { DirectFabric } from './lib/direct.mjs'
import { Gateway, loadAdapter } from './lib/gateway.mjs'
import { startIrcd } from './lib/ircd.mjs'
import { sleep } from './lib/proc.mjs'
import { num, spread } from './lib/stats.mjs'
import { Bench } from './lib/workloads.mjs'

const here = path.dirname(fileURLToPath(import.meta.url))
const { values: o } = parseArgs({
  options: {
    gateways: { type: 'string', short: 'g', default: 'biboumi' },
    only: { type: 'string', short: 'w', default: 'x2i,x2i10,fanout,pm,storm' },
    mode: { type: 'string', short: 'm', default: 'direct' },
    rounds: { type: 'string', short: 'n', default: '3' },
    out: { type: 'string', short: 'o' },
    dir: { type: 'string' },
    'port-base': { type: 'string', default: '15300' },
    ircd: { type: 'string', default: 'inspircd' },
    'irc-host': { type: 'string', default: '127.0.0.1' },
    'irc-alias': { type: 'string', default: '127.0.66.67' },
    set: { type: 'string', multiple: true, default: [] }, // workload.key=value
    scale: { type: 'string', default: '1' },
    pid: { type: 'string', multiple: true, default: [] }, // adapter=pid
    ram: { type: 'boolean', default: false },
    keep: { type: 'boolean', default: false },
    quiet: { type: 'boolean', short: 'q', default: false },
  },
})
const base = +o['port-base'],
  scale = +o.scale
const dir = o.dir ? path.resolve(o.dir) : fs.mkdtempSync(path.join(o.ram ? '/dev/shm' : os.tmpdir(), 'gwbench-'))
fs.mkdirSync(dir, { recursive: true })
const say = (...a) => {
  if (!o.quiet) console.error(...a)
}

const WORK = {
  x2i: { f: 'x2i', p: { users: 1, messages: 50000, window: 2000, rate: 200, rateSeconds: 4 } },
  x2i10: { f: 'x2i', p: { users: 10, messages: 50000, window: 2000, rate: 200, rateSeconds: 4 } },
  fanout: { f: 'fanout', p: { users: 50, messages: 2000, window: 40, rate: 10, rateSeconds: 4 } },
  pm: { f: 'pm', p: { messages: 50000, window: 2000, rate: 100, rateSeconds: 3 } },
  storm: { f: 'storm', p: { users: 300 } },
  mem: { f: 'mem', p: { steps: [1, 100, 500, 1000], perChannel: 1 } },
  mem50: { f: 'mem', p: { steps: [1, 100, 500, 1000], perChannel: 50 } },
}
for (const w of Object.values(WORK)) if (w.p.messages) w.p.messages = Math.max(100, Math.round(w.p.messages * scale))
for (const s of o.set) {
  const m = /^(\w+)\.(\w+)=(.+)$/.exec(s)
  if (!m || !WORK[m[1]]) throw new Error(`--set ${s}: want workload.key=value`)
  WORK[m[1]].p[m[2]] = JSON.parse(m[3])
}
const only = o.only === 'all' ? Object.keys(WORK) : o.only.split(',')
const adapters = o.gateways.split(',').map(g => {
  const f = g.endsWith('.json') ? g : path.join(here, 'adapters', `${g}.json`)
  const a = loadAdapter(f)
  a.file = path.dirname(path.resolve(f))
  for (const p of o.pid) {
    const [k, v] = p.split('=')
    if (k === a.name) {
      a.pid = v
      delete a.command
    }
  }
  return a
})

const ircHost = o['irc-host'],
  ircPort = base + 1
const results = {
  host: { cpus: os.cpus().length, cpu: os.cpus()[0].model, node: process.version, loadavg: os.loadavg() },
  mode: o.mode,
  ircd: o.ircd,
  ram: o.ram,
  only,
  params: Object.fromEntries(only.map(k => [k, WORK[k].p])),
  runs: [],
}
const ircd = await startIrcd({
  kind: o.ircd,
  dir: path.join(dir, 'ircd'),
  host: ircHost,
  port: ircPort,
  alias: o['irc-alias'] || undefined,
})
let live = []
const clean = async () => {
  for (const s of live.reverse()) await s().catch(() => {})
  live = []
}
process.on('SIGINT', async () => {
  await clean()
  await ircd.stop()
  process.exit(130)
})

async function section(a, round, slot) {
  // memory wants a fresh process; so do the others, but they may share one
  const isMem = w => WORK[w].f === 'mem'
  const groups = [only.filter(w => !isMem(w)), ...only.filter(isMem).map(w => [w])].filter(g => g.length)
  const res = {}
  for (const g of groups) {
    const work = path.join(dir, `${a.name}-${round}-${g[0]}`)
    const common = { domain: a.domain, secret: a.secret ?? 'benchsecret' }
    const xmppPort = base + 10 + slot
    const fabric =
      o.mode === 'prosody'
        ? new ProsodyFabric({
            ...common,
            dir: path.join(work, 'prosody'),
            c2sPort: base + 40 + slot,
            compPort: xmppPort,
          })
        : new DirectFabric(common)
    if (o.mode === 'prosody') await fabric.listen()
    else await fabric.listen(xmppPort)
    live.push(() => fabric.close())
    const gw = new Gateway(a, {
      dir: path.join(work, 'gw'),
      here,
      adapterDir: a.file,
      secret: common.secret,
      xmppHost: '127.0.0.1',
      xmppPort,
      ircHost,
      ircPort,
      ircAlias: o['irc-alias'],
      portBase: base + 60 + slot * 10,
    })
    await gw.start()
    live.push(() => gw.stop())
    await Promise.race([
      fabric.ready,
      sleep(20000).then(() => {
        throw new Error(
          `${a.name}: no component connection in 20 s (${gw.startError ?? gw.exited ?? 'still running'}); see ${work}/gw/gateway.out`,
        )
      }),
    ])
    const b = new Bench({ fabric, gw, irc: { host: ircHost, port: ircPort }, ircd })
    for (const w of g) {
      const t0 = Date.now()
      try {
        res[w] = await b[WORK[w].f](WORK[w].p)
      } catch (e) {
        res[w] = { error: e.message }
        say(`  ! ${a.name} ${w}: ${e.message}`)
        if (gw.exited) {
          say(`  ! gateway gone: ${gw.exited}`)
          break
        }
      }
      say(`  ${a.name} round ${round} ${w}: ${((Date.now() - t0) / 1000).toFixed(1)} s`)
    }
    await clean()
  }
  return res
}
let failed = false
try {
  for (let r = 1; r <= +o.rounds; r++) {
    const order = r % 2 ? adapters : [...adapters].reverse() // A B, B A, A B ...
    for (const a of order) {
      try {
        results.runs.push({
          gateway: a.name,
          round: r,
          load1: os.loadavg()[0],
          ...(await section(a, r, adapters.indexOf(a))),
        })
      } catch (e) {
        failed = true
        say(`! ${a.name}: ${e.message}`)
        await clean()
      }
    }
  }
} finally {
  await clean()
  await ircd.stop()
}

// One line a figure: median [min .. max] over the rounds, for each gateway.
const rows = []
const add = (label, unit, get) => {
  const cells = adapters.map(a => {
    const v = results.runs
      .filter(x => x.gateway === a.name)
      .map(x => {
        try {
          return get(x)
        } catch {
          return undefined
        }
      })
      .filter(x => typeof x === 'number')
    return v.length ? spread(v) : null
  })
  if (cells.some(Boolean)) rows.push({ label, unit, cells })
}
for (const w of ['x2i', 'x2i10']) {
  const n = WORK[w].p.users
  add(`XMPP->IRC groupchat, ${n} user(s): rate`, 'msg/s', x => x[w].throughput.perSecond)
  add(`XMPP->IRC groupchat, ${n} user(s): lost`, 'msg', x => x[w].throughput.lost + x[w].fixed.lost)
  add(`  late at ${WORK[w].p.rate}/s`, 'msg', x => x[w].fixed.late || undefined)
  add(`  latency p50 at ${WORK[w].p.rate}/s`, 'ms', x => x[w].fixed.latencyMs.p50)
  add(`  latency p99 at ${WORK[w].p.rate}/s`, 'ms', x => x[w].fixed.latencyMs.p99)
  add(`  gateway CPU per 10k messages`, 's', x => x[w].throughput.gatewayCpuPer10k)
}
add(`IRC->XMPP fan-out to ${WORK.fanout.p.users}: rate`, 'deliv/s', x => x.fanout.throughput.perSecond)
add(`IRC->XMPP fan-out: lost`, 'deliv', x => x.fanout.throughput.lost + x.fanout.fixed.lost)
add(`  late at ${WORK.fanout.p.rate} msg/s`, 'deliv', x => x.fanout.fixed.late || undefined)
add(`  latency p50 at ${WORK.fanout.p.rate} msg/s`, 'ms', x => x.fanout.fixed.latencyMs.p50)
add(`  latency p99 at ${WORK.fanout.p.rate} msg/s`, 'ms', x => x.fanout.fixed.latencyMs.p99)
add(`  gateway CPU per 10k deliveries`, 's', x => x.fanout.throughput.gatewayCpuPer10k)
for (const [k, l] of [
  ['toIrc', 'PM XMPP->IRC'],
  ['toXmpp', 'PM IRC->XMPP'],
]) {
  add(`${l}: rate`, 'msg/s', x => x.pm[k].throughput.perSecond)
  add(`${l}: lost`, 'msg', x => x.pm[k].throughput.lost + x.pm[k].fixed.lost)
  add(`  latency p50 at ${WORK.pm.p.rate}/s`, 'ms', x => x.pm[k].fixed.latencyMs.p50)
  add(`  latency p99 at ${WORK.pm.p.rate}/s`, 'ms', x => x.pm[k].fixed.latencyMs.p99)
  add(`  gateway CPU per 10k messages`, 's', x => x.pm[k].throughput.gatewayCpuPer10k)
}
for (const [k, l] of [
  ['cold', 'IRC connection included'],
  ['warm', 'already on IRC'],
]) {
  add(`join storm, ${WORK.storm.p.users} users (${l}): all have 110`, 's', x => x.storm[k].selfSeconds)
  add(`  everyone sees everyone`, 's', x => x.storm[k].allSeconds)
  add(`  users joined`, '', x => x.storm[k].joined)
  add(`  gateway CPU`, 's', x => x.storm[k].cpuSeconds.gateway)
}
for (const w of ['mem', 'mem50']) {
  const { steps, perChannel } = WORK[w].p
  add(`memory idle (RSS of the tree)`, 'MiB', x => x[w].idle.rssMiB)
  for (const n of steps) add(`memory, ${n} online, ${perChannel} a channel`, 'MiB', x => x[w][n].rssMiB)
  add(`  per user, from ${steps[1]} to ${steps.at(-1)}`, 'KiB', x => x[w].kibPerUser)
  add(`  last step: seconds to join`, 's', x => x[w][steps.at(-1)].joinSeconds)
  add(`  gateway CPU to get all online`, 's', x => steps.reduce((t, n) => t + x[w][n].cpuSeconds, 0))
  add(`  idle CPU with all online`, '%', x => x[w].idleCpuPercent)
}
results.summary = rows.map(r => ({
  what: r.label.trim(),
  unit: r.unit,
  ...Object.fromEntries(adapters.map((a, i) => [a.name, r.cells[i]])),
}))

const W = Math.max(...rows.map(r => r.label.length), 10) + 1
console.log(`${'figure'.padEnd(W)} unit     ${adapters.map(a => a.name.padEnd(30)).join('')}`)
for (const r of rows)
  console.log(
    `${r.label.padEnd(W)} ${r.unit.padEnd(8)} ${r.cells.map(c => (c ? `${num(c.median)} [${num(c.min)} .. ${num(c.max)}]` : '-').padEnd(30)).join('')}`,
  )
if (o.out) {
  fs.writeFileSync(o.out, JSON.stringify(results, null, 1))
  say(`JSON: ${o.out}`)
} else if (o.quiet) console.log(JSON.stringify(results))
if (!o.keep && !o.dir && !failed) fs.rmSync(dir, { recursive: true, force: true })
else say(`work files: ${dir}`)
process.exit(failed ? 1 : 0)
