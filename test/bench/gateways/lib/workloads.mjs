// The measured work. Every message carries a token `~b<run>.<seq>~`, so any
// gateway's own texts (MOTD, notices, echoes to the sender) never count.
import { performance } from 'node:perf_hooks'
import { IrcClient } from './irc.mjs'
import { cpu, sleep } from './proc.mjs'
import { quantiles } from './stats.mjs'
import { attr } from './xml.mjs'

const MUC = `<x xmlns='http://jabber.org/protocol/muc'><history maxstanzas='0'/></x>`
let runId = 0
function token(s, id) {
  const i = s.indexOf('~b')
  if (i < 0) return -1
  const dot = s.indexOf('.', i)
  if (s.slice(i + 2, dot) !== id) return -1
  return parseInt(s.slice(dot + 1, s.indexOf('~', dot)), 10)
}
const PAD = ' the quick brown fox jumps over the lazy dog'

// Deliveries of `total` messages to `need` receivers each, exactly counted.
class Tracker {
  constructor(total, need) {
    this.id = String(++runId)
    this.total = total
    this.need = need
    this.seen = new Uint8Array(total * need)
    this.left = new Int32Array(total).fill(need)
    this.sentAt = new Float64Array(total)
    this.lat = []
    this.delivered = 0
    this.complete = 0
    this.dup = 0
    this.last = 0
    this.onComplete = null
  }
  text(seq) {
    return `~b${this.id}.${seq}~${PAD}`
  }
  got(s, who = 0) {
    const seq = token(s, this.id)
    if (seq < 0 || seq >= this.total) return
    const k = seq * this.need + who
    if (this.seen[k]) {
      this.dup++
      return
    }
    this.seen[k] = 1
    const now = (this.last = performance.now())
    this.lat.push(now - this.sentAt[seq])
    this.delivered++
    if (--this.left[seq] === 0) {
      this.complete++
      this.onComplete?.()
    }
  }
  result(seconds) {
    const want = this.total * this.need
    return {
      messages: this.total,
      deliveries: this.delivered,
      lost: want - this.delivered,
      duplicates: this.dup,
      seconds: +seconds.toFixed(3),
      perSecond: +(this.delivered / seconds).toFixed(1),
      latencyMs: quantiles(this.lat),
    }
  }
}
// Closed loop: at most `window` messages not yet delivered everywhere. The rate
// reached is the rate sustained without loss (a loss shows as a stall and is
// counted). Sending stops after maxSeconds, so a slow gateway does less of it.
function pump(t, window, send, { stallMs = 6000, maxSeconds = 6 } = {}) {
  return new Promise(done => {
    let sent = 0
    const t0 = performance.now()
    t.last = t0
    const more = () => {
      while (sent < t.total && sent - t.complete < window) {
        if (performance.now() - t0 > maxSeconds * 1000) {
          t.total = sent
          break
        }
        t.sentAt[sent] = performance.now()
        send(sent)
        sent++
      }
    }
    const finish = () => {
      clearInterval(iv)
      t.onComplete = null
      done(t.result((t.last - t0) / 1000))
    }
    t.onComplete = () => {
      more()
      if (t.complete === t.total) finish()
    }
    const iv = setInterval(() => {
      if (performance.now() - t.last > stallMs) {
        t.total = sent
        finish()
      }
    }, 250)
    more()
  })
}
// Open loop at a fixed rate. `late`: not delivered 3 s after the last was sent (the
// gateway does not hold this rate); `lost`: not even when its backlog had drained.
async function paced(t, rate, send, { tailMs = 3000, drainMs = 20000 } = {}) {
  const t0 = performance.now()
  let sent = 0,
    lag = 0
  while (sent < t.total) {
    const due = Math.min(t.total, Math.floor(((performance.now() - t0) * rate) / 1000) + 1)
    while (sent < due) {
      t.sentAt[sent] = performance.now()
      lag = Math.max(lag, t.sentAt[sent] - t0 - (sent * 1000) / rate)
      send(sent)
      sent++
    }
    await sleep(1)
  }
  const end = performance.now()
  while (t.complete < t.total && performance.now() < end + tailMs) await sleep(10)
  const late = t.total * t.need - t.delivered
  while (t.complete < t.total && performance.now() < end + drainMs && performance.now() - t.last < 5000) await sleep(50)
  return { rate, late, ...t.result((t.last - t0) / 1000), senderLagMaxMs: +lag.toFixed(2) }
}

export class Bench {
  constructor({ fabric, gw, irc, ircd, log = () => {} }) {
    Object.assign(this, { fabric, gw, irc, ircd, log })
    this.pool = new Map()
    this.nick = 0
  }
  async users(n, prefix = 'u') {
    const out = [],
      todo = []
    for (let i = 0; i < n; i++) {
      const k = `${prefix}${i}`
      if (this.pool.has(k)) out[i] = this.pool.get(k)
      else
        todo.push(async () => {
          const u = await this.fabric.user(k)
          u.nick = `${prefix}n${i}`
          await this.gw.prepare(u)
          this.pool.set(k, u)
          out[i] = u
        })
    }
    await limited(todo, 50)
    return out
  }
  async ircClient(prefix, ...chans) {
    const c = await new IrcClient({ ...this.irc, nick: `${prefix}${++this.nick}` }).connect()
    for (const ch of chans) await c.join(ch)
    return c
  }
  join(u, chan, timeout = 60000) {
    const room = this.gw.room(chan)
    return new Promise((ok, no) => {
      const timer = setTimeout(() => {
        u.onPresence = null
        no(new Error(`${u.local}: no self-presence in ${room}; last error: ${u.lastError ?? 'none'}`))
      }, timeout)
      u.onPresence = (s, _u, type) => {
        const from = attr(s, 'from') ?? ''
        if (!from.toLowerCase().startsWith(room.toLowerCase() + '/')) return
        if (type === 'error') {
          clearTimeout(timer)
          u.onPresence = null
          no(new Error(`join of ${room}: ${s}`))
        } else if (/code=["']110["']/.test(s)) {
          clearTimeout(timer)
          u.onPresence = null
          u.roomNick = from.slice(from.indexOf('/') + 1)
          ok(performance.now())
        }
      }
      u.presence(`${room}/${u.nick}`, MUC)
    })
  }
  joinAll(users, chan, conc = 25) {
    return limited(
      users.map((u, i) => () => this.join(u, typeof chan === 'function' ? chan(i) : chan)),
      conc,
    )
  }
  async leaveAll(users, chan) {
    users.forEach((u, i) => {
      u.onMessage = null
      u.presence(
        `${this.gw.room(typeof chan === 'function' ? chan(i) : chan)}/${u.roomNick ?? u.nick}`,
        '',
        'unavailable',
      )
    })
    await sleep(300 + users.length * 3)
  }
  // CPU of everyone during f(): shows who was the bottleneck
  async cpu(f) {
    const g0 = this.gw.cpu(),
      i0 = cpu([this.ircd.pid]),
      p0 = this.fabric.pid ? cpu([this.fabric.pid]) : 0,
      h0 = process.cpuUsage(),
      t0 = performance.now()
    const r = await f()
    const h = process.cpuUsage(h0),
      wall = (performance.now() - t0) / 1000
    const c = { gateway: this.gw.cpu() - g0, ircd: cpu([this.ircd.pid]) - i0, harness: (h.user + h.system) / 1e6, wall }
    if (this.fabric.pid) c.prosody = cpu([this.fabric.pid]) - p0
    for (const k in c) c[k] = +c[k].toFixed(3)
    r.cpuSeconds = c
    r.gatewayCpuPer10k = +((c.gateway / Math.max(1, r.deliveries ?? r.messages)) * 1e4).toFixed(3)
    return r
  }

  // 1. XMPP -> IRC groupchat. `n` users, each in a channel of its own; one IRC listener.
  async x2i({ users: n = 1, messages = 5000, window = 100, rate = 200, rateSeconds = 4 } = {}) {
    const us = await this.users(n),
      chan = i => `#x2i${i}`
    const ear = await this.ircClient('ear', ...us.map((_, i) => chan(i)))
    await this.joinAll(us, chan)
    const go = (t, how) => {
      ear.onPrivmsg = (_to, text) => t.got(text)
      const rooms = us.map((_, i) => this.gw.room(chan(i)))
      const send = seq => {
        const k = seq % n
        us[k].send('message', ` to='${rooms[k]}' type='groupchat' id='m${seq}'`, `<body>${t.text(seq)}</body>`)
      }
      return how(t, send)
    }
    await go(new Tracker(200, 1), (t, s) => pump(t, window, s)) // warm-up
    const throughput = await this.cpu(() => go(new Tracker(messages, 1), (t, s) => pump(t, window, s)))
    await sleep(300)
    const fixed = await this.cpu(() => go(new Tracker(rate * rateSeconds, 1), (t, s) => paced(t, rate, s)))
    await this.leaveAll(us, chan)
    ear.quit()
    return { users: n, throughput, fixed }
  }
  // 2. IRC -> XMPP: one IRC speaker, U gateway users in the channel.
  async fanout({ users: n = 50, messages = 400, window = 4, rate = 10, rateSeconds = 4 } = {}) {
    const us = await this.users(n),
      chan = '#fan'
    const mouth = await this.ircClient('mouth', chan)
    await this.joinAll(us, chan)
    const go = (t, how) => {
      us.forEach((u, i) => {
        u.onMessage = s => t.got(s, i)
      })
      return how(t, seq => mouth.privmsg(chan, t.text(seq)))
    }
    await sleep(500)
    await go(new Tracker(20, n), (t, s) => pump(t, window, s))
    const throughput = await this.cpu(() => go(new Tracker(messages, n), (t, s) => pump(t, window, s)))
    await sleep(300)
    const fixed = await this.cpu(() => go(new Tracker(rate * rateSeconds, n), (t, s) => paced(t, rate, s)))
    await this.leaveAll(us, chan)
    mouth.quit()
    return { users: n, throughput, fixed }
  }
  // 3. Private messages, each way.
  async pm({ messages = 3000, window = 50, rate = 100, rateSeconds = 3 } = {}) {
    const [u] = await this.users(1),
      chan = '#pm'
    const peer = await this.ircClient('peer', chan)
    await this.joinAll([u], chan)
    const to = this.gw.pm(peer.nick, chan)
    const out = {}
    const out1 = (t, how) => {
      peer.onPrivmsg = (_to, text) => t.got(text)
      return how(t, seq => u.send('message', ` to='${to}' type='chat' id='p${seq}'`, `<body>${t.text(seq)}</body>`))
    }
    const in1 = (t, how) => {
      u.onMessage = s => t.got(s)
      return how(t, seq => peer.privmsg(u.roomNick, t.text(seq)))
    }
    for (const [k, go] of [
      ['toIrc', out1],
      ['toXmpp', in1],
    ]) {
      await go(new Tracker(100, 1), (t, s) => pump(t, window, s))
      out[k] = { throughput: await this.cpu(() => go(new Tracker(messages, 1), (t, s) => pump(t, window, s))) }
      await sleep(200)
      out[k].fixed = await this.cpu(() => go(new Tracker(rate * rateSeconds, 1), (t, s) => paced(t, rate, s)))
    }
    await this.leaveAll([u], chan)
    peer.quit()
    return out
  }
  // 4. U users join one channel at once: `cold`, none is on IRC before (a real IRC
  // server adds its own time to let them in), then `warm`, all are on IRC already.
  async storm({ users: n = 100, timeout = 40000 } = {}) {
    const us = await this.users(n)
    const cold = await this.#storm(us, '#storm', timeout)
    const late = us.filter(u => !u.roomNick)
    if (late.length)
      throw new Error(`${late.length} of ${n} did not get in; last error: ${late[0].lastError ?? 'none'}`)
    const warm = await this.#storm(us, '#storm2', timeout)
    await this.leaveAll(us, '#storm2')
    await this.leaveAll(us, '#storm')
    return { users: n, cold, warm }
  }
  async #storm(us, chan, timeout) {
    const n = us.length,
      room = this.gw.room(chan).toLowerCase() + '/'
    await sleep(500)
    return this.cpu(async () => {
      let self = 0,
        selfAt = 0,
        pairs = 0,
        allAt = 0,
        failed = 0,
        stanzas0 = this.fabric.stanzas,
        bytes0 = this.fabric.bytes
      const done = new Promise(ok => {
        const timer = setTimeout(ok, timeout)
        us.forEach(u => {
          const seen = new Set()
          let me = false
          u.roomNick = undefined
          u.onPresence = (s, _u, type) => {
            const from = attr(s, 'from') ?? ''
            if (!from.toLowerCase().startsWith(room)) return
            if (type === 'error') {
              failed++
              return
            }
            if (type === 'unavailable') return
            if (!me && /code=["']110["']/.test(s)) {
              me = true
              u.roomNick = from.slice(from.indexOf('/') + 1)
              self++
              selfAt = performance.now()
            }
            if (!seen.has(from)) {
              seen.add(from)
              pairs++
              allAt = performance.now()
            }
            if (pairs >= n * n && self === n) {
              clearTimeout(timer)
              ok()
            }
          }
        })
      })
      const t0 = performance.now()
      for (const u of us) u.presence(`${this.gw.room(chan)}/${u.nick}`, MUC)
      await done
      for (const u of us) u.onPresence = null
      return {
        joined: self,
        failed,
        selfSeconds: +((selfAt - t0) / 1000).toFixed(3),
        occupantPairs: pairs,
        wantedPairs: n * n,
        allSeconds: +((allAt - t0) / 1000).toFixed(3),
        stanzas: this.fabric.stanzas - stanzas0,
        bytes: this.fabric.bytes - bytes0,
        messages: n,
      }
    })
  }
  // 5. Memory with N users online, `perChannel` users in each channel.
  async mem({ steps = [1, 100, 500, 1000], perChannel = 1, settleMs = 1500 } = {}) {
    const out = { idle: round(this.gw.memory()) }
    let have = 0
    for (const n of steps) {
      const us = await this.users(n, 'm'),
        t0 = performance.now(),
        c0 = this.gw.cpu()
      await this.joinAll(us.slice(have), i => `#mem${Math.floor((have + i) / perChannel)}`, 250)
      const joinSeconds = +((performance.now() - t0) / 1000).toFixed(2)
      have = n
      await sleep(settleMs)
      out[n] = { ...round(this.gw.memory()), joinSeconds, cpuSeconds: +(this.gw.cpu() - c0).toFixed(2) }
    }
    if (steps.length > 1) {
      const a = steps[1] ?? steps[0],
        b = steps.at(-1)
      if (b > a) out.kibPerUser = +(((out[b].rssMiB - out[a].rssMiB) * 1024) / (b - a)).toFixed(1)
    }
    // CPU of being idle with everyone online
    const c0 = this.gw.cpu(),
      w0 = performance.now()
    await sleep(3000)
    out.idleCpuPercent = +(((this.gw.cpu() - c0) / (performance.now() - w0)) * 1e5).toFixed(1)
    return out
  }
}
const round = m => ({ rssMiB: +m.rssMiB.toFixed(1), pssMiB: +m.pssMiB.toFixed(1), processes: m.processes })
async function limited(tasks, n) {
  let i = 0
  const out = []
  await Promise.all(
    Array.from({ length: Math.min(n, tasks.length) }, async () => {
      while (i < tasks.length) {
        const k = i++
        out[k] = await tasks[k]()
      }
    }),
  )
  return out
}
