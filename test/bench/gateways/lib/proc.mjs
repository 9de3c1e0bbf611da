// Linux /proc: memory and CPU time of a process tree, given its root pid.

import { execFileSync } from 'node:child_process'
import fs from 'node:fs'
import net from 'node:net'

const HZ = Number(execFileSync('getconf', ['CLK_TCK']).toString())
function stat(pid) {
  try {
    const s = fs.readFileSync(`/proc/${pid}/stat`, 'latin1')
    const f = s.slice(s.lastIndexOf(')') + 2).split(' ')
    return { ppid: +f[1], ticks: +f[11] + +f[12] + +f[13] + +f[14] } // utime stime cutime cstime
  } catch {
    return null
  }
}
export function tree(root) {
  const kids = new Map()
  for (const d of fs.readdirSync('/proc')) {
    if (!/^\d+$/.test(d)) continue
    const s = stat(d)
    if (!s) continue
    if (!kids.has(s.ppid)) kids.set(s.ppid, [])
    kids.get(s.ppid).push(+d)
  }
  const out = [],
    todo = [root]
  while (todo.length) {
    const p = todo.pop()
    out.push(p)
    todo.push(...(kids.get(p) ?? []))
  }
  return out
}
// CPU seconds, children already waited for included
export function cpu(roots) {
  let t = 0
  for (const r of roots) for (const p of tree(r)) t += stat(p)?.ticks ?? 0
  return t / HZ
}
export function memory(roots) {
  let rss = 0,
    pss = 0,
    n = 0
  for (const r of roots)
    for (const p of tree(r)) {
      try {
        const s = fs.readFileSync(`/proc/${p}/smaps_rollup`, 'latin1')
        rss += +/^Rss:\s+(\d+)/m.exec(s)[1]
        pss += +/^Pss:\s+(\d+)/m.exec(s)[1]
        n++
      } catch {
        /* gone */
      }
    }
  return { rssMiB: rss / 1024, pssMiB: pss / 1024, processes: n }
}
export const sleep = ms => new Promise(r => setTimeout(r, ms))
export async function waitPort(port, host = '127.0.0.1', ms = 15000) {
  for (const end = Date.now() + ms; ; ) {
    const ok = await new Promise(r => {
      const s = net.connect(port, host)
      s.once('connect', () => {
        s.destroy()
        r(true)
      })
      s.once('error', () => r(false))
    })
    if (ok) return
    if (Date.now() > end) throw new Error(`nothing listens on ${host}:${port}`)
    await sleep(50)
  }
}
export async function stopChild(c) {
  if (!c || c.exitCode !== null || c.signalCode !== null) return
  const gone = new Promise(r => c.once('exit', r))
  c.kill('SIGTERM')
  if (await Promise.race([gone.then(() => 1), sleep(4000).then(() => 0)])) return
  c.kill('SIGKILL')
  await gone
}
