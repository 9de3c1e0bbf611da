import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { createServer } from 'node:net'
import { fileURLToPath } from 'node:url'

export type Line = Record<string, unknown> & { msg?: string }

/** The sample service in a process of its own, and what it wrote. */
export class Child implements AsyncDisposable {
  readonly lines: Line[] = []
  stderr = ''
  readonly #process: ChildProcess
  readonly #ended: Promise<{ code: number | null; signal: string | null }>
  #wake = () => {}

  constructor(
    behaviour: string,
    flags: readonly string[] = ['--service.jid=irc.example.org', '--service.backend=irc'],
  ) {
    const program = fileURLToPath(new URL('sample-service.ts', import.meta.url))
    const child = spawn(process.execPath, [program, behaviour, ...flags], { stdio: ['ignore', 'pipe', 'pipe'] })
    this.#process = child
    let rest = ''
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      const whole = (rest + text).split('\n')
      rest = whole.pop() ?? ''
      this.lines.push(...whole.map(line => JSON.parse(line) as Line))
      this.#wake()
    })
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      this.stderr += text
    })
    this.#ended = once(child, 'close').then(([code, signal]) => {
      this.#wake()
      return { code, signal }
    })
  }

  kill(signal: NodeJS.Signals): void {
    this.#process.kill(signal)
  }

  /** The first line with this sentence, as soon as it is there. */
  async line(sentence: string): Promise<Line> {
    return this.#within(20_000, `“${sentence}”`, async () => {
      for (;;) {
        const found = this.lines.find(({ msg }) => msg === sentence)
        if (found) return found
        await new Promise<void>(resolve => {
          this.#wake = resolve
        })
      }
    })
  }

  /** How the process ended, once it has. */
  async ended(): Promise<{ code: number | null; signal: string | null }> {
    return this.#within(30_000, 'the end of the process', () => this.#ended)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#process.exitCode === null && this.#process.signalCode === null) this.#process.kill('SIGKILL')
    await this.#ended
  }

  async #within<Result>(limitMs: number, what: string, work: () => Promise<Result>): Promise<Result> {
    const { promise, reject } = Promise.withResolvers<never>()
    const timer = setTimeout(() => {
      reject(new Error(`${what} did not come; there was ${JSON.stringify(this.lines)} ${this.stderr}`))
    }, limitMs)
    try {
      return await Promise.race([work(), promise])
    } finally {
      clearTimeout(timer)
    }
  }
}

/** A TCP port on loopback that was free a moment ago. */
export async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  server.close()
  await once(server, 'close')
  if (typeof address !== 'object' || address === null) throw new Error('no port')
  return address.port
}
