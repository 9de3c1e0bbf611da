// npm start: does all set-up that is missing, then runs the gateway in the foreground.
import { spawn } from 'node:child_process'
import { join } from 'node:path'
import { node, PrepareError, prepare, root } from './prepare.mjs'

try {
  await prepare(line => console.error(line))
  const child = spawn(node, [join(root, 'test/stack/src/start.ts'), ...process.argv.slice(2)], {
    cwd: process.env.INIT_CWD ?? process.cwd(),
    // The channel carries nothing: its end tells the child that we are gone, even when we were killed.
    stdio: ['inherit', 'inherit', 'inherit', 'ipc'],
  })
  if (process.env.npm_lifecycle_event !== undefined) watchParent(child)
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

/**
 * npm stays in the foreground for as long as we run. When it was killed, or has handed a SIGTERM to a shell between us that
 * ends without passing it on, we are another's child, and nobody is left to tell us to stop.
 */
function watchParent(child) {
  const parent = process.ppid
  const timer = setInterval(() => {
    if (process.ppid === parent) return
    clearInterval(timer)
    child.kill('SIGTERM')
  }, 250)
  child.once('exit', () => clearInterval(timer))
}
