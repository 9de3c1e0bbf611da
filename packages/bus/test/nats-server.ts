import { type ChildProcess, execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { mkdir, mkdtemp, readdir, rename, rm, writeFile } from 'node:fs/promises'
import { connect, createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { promisify } from 'node:util'
import { type NatsServerOptions, natsServerConfig } from '../src/index.ts'
import { until } from './until.ts'

const run = promisify(execFile)
const cache = join(import.meta.dirname, '../../../.cache/bus-nats-server')

/** A nats-server on loopback, with a store of its own. */
export interface TestServer extends AsyncDisposable {
  readonly url: string
  readonly port: number
  readonly pid: number
  readonly storeDir: string
  /** SIGKILL, and waits until it is gone. */
  kill(): Promise<void>
  /** The same store and port again. */
  start(): Promise<void>
}

/** Starts a real nats-server with JetStream; `options` go into its configuration. */
export async function startServer(options: Partial<NatsServerOptions> = {}): Promise<TestServer> {
  const command = await findServer()
  const directory = await mkdtemp(join(tmpdir(), 'bus-nats-'))
  const port = options.port ?? (await freePort())
  const storeDir = join(directory, 'store')
  const config = join(directory, 'nats.conf')
  await writeFile(config, natsServerConfig({ host: '127.0.0.1', port, storeDir, ...options }))
  let child: ChildProcess
  let output = ''
  const server = {
    url: `nats://127.0.0.1:${port}`,
    port,
    storeDir,
    get pid() {
      return child.pid ?? 0
    },
    async start() {
      child = spawn(command, ['-c', config], { stdio: ['ignore', 'ignore', 'pipe'] })
      child.stderr?.on('data', chunk => {
        output = (output + chunk).slice(-4000)
      })
      await until(() => canConnect(port), { describe: () => output })
    },
    async kill() {
      if (child.exitCode !== null || child.signalCode !== null) return
      child.kill('SIGKILL')
      await once(child, 'exit')
    },
    async [Symbol.asyncDispose]() {
      await server.kill()
      await rm(directory, { recursive: true, force: true })
    },
  }
  await server.start()
  return server
}

/** A port of loopback that nobody listens on. */
export async function freePort(): Promise<number> {
  const listener = createServer().listen(0, '127.0.0.1')
  await once(listener, 'listening')
  const { port } = listener.address() as { port: number }
  listener.close()
  await once(listener, 'close')
  return port
}

function canConnect(port: number): Promise<boolean> {
  return new Promise(resolve => {
    const socket = connect(port, '127.0.0.1')
    socket.once('connect', () => socket.destroy(resolve(true) as undefined))
    socket.once('error', () => resolve(false))
  })
}

let found: Promise<string> | undefined
function findServer(): Promise<string> {
  found ??= inPath().then(path => path ?? unpacked())
  return found
}

async function inPath(): Promise<string | undefined> {
  try {
    await run('nats-server', ['--version'])
    return 'nats-server'
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
    throw error
  }
}

/** Debian's package, fetched and unpacked: nothing is installed, no service starts, no root is needed. */
async function unpacked(): Promise<string> {
  const command = join(cache, 'usr/sbin/nats-server')
  if (existsSync(command)) return command
  await mkdir(dirname(cache), { recursive: true })
  const work = await mkdtemp(`${cache}-`)
  try {
    await download(work)
    const [archive] = (await readdir(work)).filter(name => name.endsWith('.deb'))
    await run('dpkg-deb', ['-x', join(work, archive ?? ''), join(work, 'root')])
    await rename(join(work, 'root'), cache)
  } catch (error) {
    // Another test process was quicker.
    if (!existsSync(command)) throw error
  } finally {
    await rm(work, { recursive: true, force: true })
  }
  return command
}

/** With the machine's package lists, else with lists of our own. */
async function download(cwd: string): Promise<void> {
  try {
    await run('apt-get', ['download', 'nats-server'], { cwd })
  } catch {
    const lists = join(cwd, 'lists')
    await mkdir(join(lists, 'partial'), { recursive: true })
    const own = ['-o', `Dir::State::Lists=${lists}`, '-o', `Dir::Cache=${cwd}`]
    await run('apt-get', [...own, 'update'], { cwd })
    await run('apt-get', [...own, 'download', 'nats-server'], { cwd })
  }
}
