import { promise, say } from './bus/report.ts'
import { comeBack, excess } from './governor/come-back.ts'

// All workers are killed: how long until everybody is back, when 50 logins a second are allowed.
// `npm run bench -- governor [users] [workers]`, about 10 minutes with the default of 10,000 users.

const users = Number(process.argv[2] ?? 10_000)
const workers = Number(process.argv[3] ?? 3)
const [rate, burst] = [50, 100]
const { returns, seconds } = await comeBack({ users, rate, burst, workers, say })
const most = excess(returns, rate, burst)
say(
  `${users} users on ${workers} workers back after ${seconds.toFixed(1)} s; worst window: ${most.toFixed(1)} above allowed`,
)
promise(`all back within ${(users / rate) * 1.5} s`, seconds <= (users / rate) * 1.5)
promise('never more than allowed', most <= 0)
