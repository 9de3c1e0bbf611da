import { loadavg } from 'node:os'
import { laneRate } from './bus/lane-rate.ts'
import { manyLanes } from './bus/many-lanes.ts'
import { say } from './bus/report.ts'
import { slowUser } from './bus/slow-user.ts'

// What the bus costs and promises, with figures: `npm run bench -- bus [lane-rate] [slow-user] [many-lanes]`, three
// minutes for all.

const benches = { 'lane-rate': laneRate, 'slow-user': slowUser, 'many-lanes': manyLanes }
const chosen = process.argv.slice(2).filter(name => name in benches)

say(
  `load average ${loadavg()
    .map(load => load.toFixed(1))
    .join(' ')}`,
)
for (const [name, bench] of Object.entries(benches)) if (chosen.length === 0 || chosen.includes(name)) await bench()
