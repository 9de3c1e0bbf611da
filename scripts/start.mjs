// npm start: does all set-up that is missing, then runs the gateway in the foreground.
import { spawn } from 'node:child_process'
import { join } from 'node:path'
import { node, PrepareError, prepare, root } from './prepare.mjs'

try {
  await prepare(line => console.error(line))
  const child = spawn(node, [join(root, 'test/stack/src/start.ts'), ...process.argv.slice(2)], {
    cwd: process.env.INIT_CWD ?? process.cwd(),
    stdio: 'inherit',
  })
  // A terminal's Ctrl-C reaches the child by itself, a signal sent to us does not. Both must not end us first.
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, () => child.kill(signal))
  child.once('error', error => {
    console.error(`The gateway could not be started: ${error.message}`)
    process.exitCode = 1
  })
  child.once('exit', (code, signal) => {
    process.exitCode = code ?? (signal === 'SIGINT' ? 130 : 143)
  })
} catch (error) {
  if (!(error instanceof PrepareError)) throw error
  console.error(error.message)
  process.exitCode = 1
}
