// npm run faults [-- options]: the fault suite. See docs/operations.md.
import { spawn } from 'node:child_process'
import { join } from 'node:path'
import { node, PrepareError, prepare, root } from './prepare.mjs'

try {
  await prepare(line => console.error(line))
  const child = spawn(node, [join(root, 'test/faults/src/main.ts'), ...process.argv.slice(2)], {
    cwd: root,
    stdio: 'inherit',
  })
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, () => child.kill(signal))
  child.once('exit', (code, signal) => {
    process.exitCode = code ?? (signal === 'SIGINT' ? 130 : 143)
  })
} catch (error) {
  if (!(error instanceof PrepareError)) throw error
  console.error(error.message)
  process.exitCode = 1
}
