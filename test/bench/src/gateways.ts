// npm run bench -- gateways [options]: this gateway beside others, the same work in the same run. See test/bench/README.md.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'

const given = process.argv.slice(2)
const usual = ['-n', '3', '--ram', '-g', 'biboumi-nohistory,spectrum-cloud', '-w', 'x2i,x2i10,fanout,pm,storm']
const bench = join(import.meta.dirname, '../gateways/bench.mjs')
const child = spawn(process.execPath, [bench, ...(given.length > 0 ? given : usual)], { stdio: 'inherit' })
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => child.kill(signal))
const [code] = await once(child, 'exit')
process.exitCode = code ?? 1
