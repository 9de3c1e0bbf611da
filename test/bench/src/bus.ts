import { laneRate } from './bus/lane-rate.ts'
import { manyLanes } from './bus/many-lanes.ts'
import { slowUser } from './bus/slow-user.ts'

// What the bus costs and promises, with figures: `npm run bench -- bus`. About two minutes.

await laneRate()
await slowUser()
await manyLanes()
