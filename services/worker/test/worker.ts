import { spawn } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { loadConfig } from '@spectrum/config'
import type { Network } from '@spectrum/network'
import { parrot } from '@spectrum/parrot'
import { createLogger, Registry, type RunningService } from '@spectrum/service-kit'
import { startWorker, type WorkerOptions } from '../src/service.ts'
import { jid } from './neighbours.ts'

const flags = (natsUrl: string, backend = 'parrot'): string[] => [
  `--service.jid=${jid}`,
  `--service.backend=${backend}`,
  `--nats.servers=${natsUrl}`,
  '--frontend.event_partitions=1',
]

/** A worker in this process, and its metrics. */
export async function workerHere(
  natsUrl: string,
  options: Partial<WorkerOptions> = {},
  more: readonly string[] = [],
): Promise<RunningService & { metrics(): Promise<string> }> {
  const network = options.network ?? (parrot as unknown as Network)
  const { config } = loadConfig({ argv: [...flags(natsUrl, network.id), ...more], env: {}, networks: [network] })
  const registry = new Registry()
  const service = await startWorker(
    {
      config,
      registry,
      log: createLogger({ level: 'error', fields: {} }),
      stopping: new AbortController().signal,
    },
    { version: '0.0.0', ...options, network },
  )
  return Object.assign(service, { metrics: () => registry.metrics() })
}

/** A worker in a process of its own, as it runs in production. */
export class WorkerProcess implements AsyncDisposable {
  readonly child
  readonly #output: string[] = []

  /** The exit code. */
  readonly exited: Promise<number | null>

  constructor(natsUrl: string, more: readonly string[] = [], backend?: string) {
    const main = fileURLToPath(new URL('../src/main.ts', import.meta.url))
    this.child = spawn(process.execPath, [main, ...flags(natsUrl, backend), ...more], {
      stdio: ['ignore', 'pipe', 'pipe'],
      env: {},
    })
    for (const stream of [this.child.stdout, this.child.stderr])
      stream.setEncoding('utf8').on('data', (text: string) => this.#output.push(text))
    this.exited = new Promise(resolve => this.child.once('close', resolve))
  }

  get output(): string {
    return this.#output.join('')
  }

  /** Which backends it has said that it runs. */
  get backends(): number[] {
    return [...this.output.matchAll(/"backend":(\d+),.*a backend runs here/g)].map(match => Number(match[1]))
  }

  kill(signal: NodeJS.Signals): Promise<number | null> {
    if (this.child.exitCode !== null || this.child.signalCode !== null) return Promise.resolve(this.child.exitCode)
    const { promise, resolve } = Promise.withResolvers<number | null>()
    this.child.once('exit', code => resolve(code))
    this.child.kill(signal)
    return promise
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.kill('SIGKILL')
  }
}
