import { loadavg } from 'node:os'
import { startNats } from '@spectrum/stack'
import { placeMany, startPlacing } from './placing.ts'

// Run by `npm run bench -- placement [users]`.

const users = Number(process.argv[2] ?? 50_000)
await using nats = await startNats()
await using placing = await startPlacing(nats)
const before = process.cpuUsage()
const seconds = await placeMany(placing, users)
const { user, system } = process.cpuUsage(before)
const figures = [
  `load average ${loadavg()[0]?.toFixed(1)}`,
  `${users} users on ${placing.occupancy.backends} backends in ${seconds.toFixed(1)} s: ${Math.round(users / seconds)} users/s`,
  `${((user + system) / users).toFixed(0)} µs of the router's CPU each`,
]
process.stdout.write(`${figures.join('\n')}\n`)
