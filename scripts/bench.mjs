// npm run bench -- <name> [arguments]: runs test/bench/src/<name>.ts; without a name it says which there are.
import { spawn } from 'node:child_process'
import { existsSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { node, PrepareError, prepare, root } from './prepare.mjs'

const folder = join(root, 'test/bench/src')
const [name, ...rest] = process.argv.slice(2)

try {
  await prepare(line => console.error(line))
  if (name !== undefined && /^[a-z0-9-]+$/.test(name) && existsSync(join(folder, `${name}.ts`))) {
    const child = spawn(node, [join(folder, `${name}.ts`), ...rest], { cwd: root, stdio: 'inherit' })
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, () => child.kill(signal))
    child.once('exit', (code, signal) => {
      process.exitCode = code ?? (signal === 'SIGINT' ? 130 : 143)
    })
  } else {
    const names = readdirSync(folder).filter(file => file.endsWith('.ts') && file !== 'index.ts')
    console.error(`Benches: ${names.map(file => file.slice(0, -3)).join(', ')} (npm run bench -- <name>)`)
    process.exitCode = 2
  }
} catch (error) {
  if (!(error instanceof PrepareError)) throw error
  console.error(error.message)
  process.exitCode = 1
}
