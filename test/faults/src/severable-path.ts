import { execFile } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { Child } from '@spectrum/stack'
import { createRelay } from './relay.ts'
import { TcpProxy } from './tcp-proxy.ts'

const run = promisify(execFile)

/** A way to a server on loopback that can be cut: nothing passes then, and nobody is told. */
export interface SeverablePath extends AsyncDisposable {
  readonly host: string
  readonly port: number
  /** What cuts it, for the table. */
  readonly by: string
  cut(): Promise<void>
  heal(): Promise<void>
}

/** Through a network namespace, which takes root and iproute2; where there is no making one, through a proxy. */
export async function openPath(target: number): Promise<SeverablePath> {
  try {
    return await throughNamespace(target)
  } catch (error) {
    const [reason = ''] = (error as Error).message.split('\n')
    return throughProxy(target, `a proxy; there is no network namespace: ${reason}`)
  }
}

async function throughProxy(target: number, by: string): Promise<SeverablePath> {
  const proxy = await TcpProxy.start(target)
  return {
    ...{ host: '127.0.0.1', port: proxy.port, by },
    cut: async () => proxy.cut(),
    heal: async () => proxy.heal(),
    [Symbol.asyncDispose]: () => proxy[Symbol.asyncDispose](),
  }
}

/**
 * A virtual link leads into a namespace, and from there a socket in the file system, which all namespaces share, leads back. Its
 * far end is cut: packets are lost there, and retransmitted when it is healed. Link and namespace go with the relay's process.
 */
async function throughNamespace(target: number): Promise<SeverablePath> {
  await using resources = new AsyncDisposableStack()
  const folder = await mkdtemp(join(tmpdir(), 'spectrum-path-'))
  resources.defer(() => rm(folder, { recursive: true, force: true }))
  const path = join(folder, 'socket')
  const server = createRelay(() => connect({ port: target, host: '127.0.0.1', allowHalfOpen: true }))
  server.listen(path)
  await once(server, 'listening')
  resources.defer(() => void server.close())
  const relay = resources.use(
    await Child.start({
      name: 'relay',
      command: 'unshare',
      args: ['--net', process.execPath, join(import.meta.dirname, 'namespace-relay.ts'), path],
      isReady: ({ lines }) => lines.includes('listening'),
    }),
  )
  const inside = (...args: string[]) => run('nsenter', [`--target=${relay.pid}`, '--net', 'ip', ...args])
  const [near, far] = [`spn${process.pid}`, `spf${process.pid}`]
  const { nearHost, farHost } = addressesOf(process.pid)
  await run('ip', ['link', 'add', near, 'type', 'veth', 'peer', 'name', far, 'netns', `${relay.pid}`])
  await inside('address', 'add', `${farHost}/30`, 'dev', far)
  await inside('link', 'set', far, 'up')
  await run('ip', ['address', 'add', `${nearHost}/30`, 'dev', near])
  await run('ip', ['link', 'set', near, 'up'])
  const held = resources.move()
  return {
    ...{ host: farHost, port: 4222, by: 'a network namespace' },
    cut: async () => void (await inside('link', 'set', far, 'down')),
    heal: async () => void (await inside('link', 'set', far, 'up')),
    [Symbol.asyncDispose]: () => held.disposeAsync(),
  }
}

/** A pair of the addresses for benchmarks (RFC 2544): another one for every process that may run at the same time. */
function addressesOf(pid: number): { nearHost: string; farHost: string } {
  const subnet = `198.18.${(pid >> 6) & 255}`
  const first = (pid & 63) * 4
  return { nearHost: `${subnet}.${first + 1}`, farHost: `${subnet}.${first + 2}` }
}
