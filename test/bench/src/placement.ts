import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'

// How many users a second a leading router places, through a NATS server of its own and without a database:
// `npm run bench -- placement [users]`; 50,000 by default, some seconds. It runs inside the router's own package.

const program = join(import.meta.dirname, '../../../services/router/test/placement-bench.ts')
const child = spawn(process.execPath, [program, ...process.argv.slice(2)], { stdio: 'inherit' })
await once(child, 'exit')
if (child.exitCode !== 0) throw new Error('the bench failed')
