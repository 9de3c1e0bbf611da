import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { freePort, waitUntil } from '@spectrum/stack'
import { flagsOf, type Surroundings } from './frontend-process.ts'

/** A frontend as it runs in production, with its readiness. */
export class Frontend implements AsyncDisposable {
  readonly #child: ChildProcess
  readonly #url: string
  log = ''

  private constructor(child: ChildProcess, url: string) {
    this.#child = child
    this.#url = url
    child.stdout?.setEncoding('utf8').on('data', text => {
      this.log += text
    })
    child.stderr?.setEncoding('utf8').on('data', text => {
      this.log += text
    })
  }

  static async start(surroundings: Surroundings, extra: readonly string[] = []): Promise<Frontend> {
    const frontend = await Frontend.launch(surroundings, extra)
    await waitUntil(() => frontend.isReady(), { deadlineMs: 30_000, describe: () => frontend.log })
    return frontend
  }

  /** Does not wait until it is ready. */
  static async launch(surroundings: Surroundings, extra: readonly string[] = []): Promise<Frontend> {
    const port = await freePort()
    // A secret never stands among the arguments of a process.
    const flags = flagsOf(surroundings).filter(flag => !flag.startsWith('--service.password='))
    const main = join(import.meta.dirname, '../src/main.ts')
    const child = spawn(process.execPath, [main, ...flags, ...extra, `--http.port=${port}`], {
      env: { ...process.env, SPECTRUM_SERVICE_PASSWORD: surroundings.secret },
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    return new Frontend(child, `http://127.0.0.1:${port}`)
  }

  async isReady(): Promise<boolean> {
    return (await this.get('/readyz')).status === 200
  }

  async isActive(): Promise<boolean> {
    return /^spectrum_frontend_active\{[^}]*\} 1$/m.test((await this.get('/metrics')).text)
  }

  /** Active, and connected to the XMPP server. */
  async isServing(): Promise<boolean> {
    return (await this.isActive()) && (await this.isReady())
  }

  /** The sum of a metric, over all its labels. */
  async metric(name: string): Promise<number> {
    const lines = [
      ...(await this.get('/metrics')).text.matchAll(new RegExp(`^spectrum_${name}(?:\\{[^}]*\\})? (\\S+)$`, 'gm')),
    ]
    return lines.reduce((sum, [, value]) => sum + Number(value), 0)
  }

  signal(signal: NodeJS.Signals): void {
    this.#child.kill(signal)
  }

  async get(path: string): Promise<{ status: number; text: string }> {
    try {
      const response = await fetch(this.#url + path)
      return { status: response.status, text: await response.text() }
    } catch {
      return { status: 0, text: 'does not listen yet' }
    }
  }

  async end(signal: NodeJS.Signals): Promise<number | null> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return this.#child.exitCode
    const exit = once(this.#child, 'exit')
    this.#child.kill(signal)
    const [code] = await exit
    return code
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.end('SIGKILL')
  }
}
