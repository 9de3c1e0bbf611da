import { type ChildProcess, spawn } from 'node:child_process'
import { baseEnvironment, onPath } from './environment.ts'
import { waitUntil } from './wait-until.ts'

/** A server did not come up, or ended by itself; the message holds the end of what it printed. */
export class ServerError extends Error {
  override name = 'ServerError'
}

/** How to run one program. */
export interface ChildOptions {
  /** A short name for messages, such as `prosody`. */
  name: string
  command: string
  args: readonly string[]
  /** Added to a small, clean environment. Secrets go here and never into `args`, which everybody on the machine can read. */
  env?: Record<string, string>
  cwd?: string
  /** Runs it as another user; only root can. */
  user?: { uid: number; gid: number }
  /** Answers true once the program does its work. Asked every 25 ms. */
  isReady: (child: Child) => boolean | Promise<boolean>
  /** How long it may take to become ready, 20 s by default. */
  readyWithinMs?: number
  /** What asks it to end in an orderly way; `SIGTERM` by default. */
  stopSignal?: NodeJS.Signals
  /** How long an orderly end may take before it is killed, 25 s by default. */
  stopWithinMs?: number
  /** Called with each line it prints, stdout and stderr alike. */
  onLine?: (line: string) => void
}

const keptLines = 2000

/**
 * A program that runs beside us and ends with us: whether it is disposed, or this process is killed −9 (Linux then
 * kills it too, by the parent-death signal that `setpriv` sets).
 */
export class Child implements AsyncDisposable {
  readonly name: string
  /** The last lines it printed over all its runs, stdout and stderr alike. */
  readonly lines: string[] = []
  #options: ChildOptions
  #process: ChildProcess | undefined
  #ended: Promise<void> = Promise.resolve()
  #exit: string | undefined
  #exitCode: number | undefined
  #firstLine = 0

  private constructor(options: ChildOptions) {
    this.#options = options
    this.name = options.name
  }

  /** Starts the program and returns when it is ready. Throws a {@link ServerError} with what it printed otherwise. */
  static async start(options: ChildOptions): Promise<Child> {
    const child = new Child(options)
    await child.start()
    return child
  }

  /** Starts the program without waiting for anything. */
  static launch(options: ChildOptions): Child {
    const child = new Child(options)
    child.launch()
    return child
  }

  /** The process id of the present run, or of the last. */
  get pid(): number {
    return this.#process?.pid ?? 0
  }

  get isRunning(): boolean {
    return this.#process !== undefined && this.#exit === undefined
  }

  /** How the last run ended, as words; undefined while it runs. */
  get exit(): string | undefined {
    return this.#exit
  }

  /** The exit code of the last run, if it ended by itself. */
  get exitCode(): number | undefined {
    return this.#exitCode
  }

  /** Fulfils when the present run has ended, however it ended. */
  get ended(): Promise<void> {
    return this.#ended
  }

  /** What it printed, as one text. */
  get log(): string {
    return this.lines.join('\n')
  }

  /** Starts it again with the same arguments, after it has ended, and returns when it is ready. */
  async start(): Promise<void> {
    this.launch()
    try {
      await this.ready()
    } catch (error) {
      await this.kill('SIGKILL')
      throw error
    }
  }

  /** Starts it again with the same arguments, after it has ended, without waiting for anything. */
  launch(): void {
    if (this.isRunning) throw new ServerError(`${this.name} already runs`)
    this.#launch()
  }

  /** Waits until the present run is ready. Throws a {@link ServerError} with what it printed if it ends before. */
  async ready(): Promise<void> {
    const { readyWithinMs = 20_000, isReady } = this.#options
    const printed = () => this.lines.slice(this.#firstLine).slice(-20).join('\n') || '(it printed nothing)'
    await waitUntil(
      async () => {
        if (this.#exit !== undefined) throw new ServerError(`${this.name} ended (${this.#exit}):\n${printed()}`)
        return isReady(this)
      },
      { deadlineMs: readyWithinMs, describe: () => `${this.name} did not come up:\n${printed()}` },
    )
  }

  /** Sends a signal; for one that ends the program, waits until it has ended. */
  async kill(signal: NodeJS.Signals = 'SIGKILL'): Promise<void> {
    if (!this.isRunning) return
    this.#process?.kill(signal)
    if (signal !== 'SIGSTOP' && signal !== 'SIGCONT' && signal !== 'SIGHUP') await this.#ended
  }

  /** Asks it to end; kills it when it does not in time. */
  async stop(): Promise<void> {
    if (!this.isRunning) return
    const { stopSignal = 'SIGTERM', stopWithinMs = 25_000 } = this.#options
    this.#process?.kill(stopSignal)
    this.#process?.kill('SIGCONT')
    const timer = setTimeout(() => this.#process?.kill('SIGKILL'), stopWithinMs)
    await this.#ended
    clearTimeout(timer)
  }

  /** Ends it in an orderly way and starts it again on the same ports and data. */
  async restart(): Promise<void> {
    await this.stop()
    await this.start()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop()
  }

  #launch(): void {
    const { command, args, env, cwd, user } = this.#options
    const setpriv = onPath('setpriv')
    const argv = setpriv ? [setpriv, '--pdeathsig', 'KILL', '--', command, ...args] : [command, ...args]
    this.#exit = undefined
    this.#exitCode = undefined
    this.#firstLine = this.lines.length
    const child = spawn(argv[0] as string, argv.slice(1), {
      stdio: ['ignore', 'pipe', 'pipe'],
      // A process group of its own: Ctrl-C in the terminal is for us alone, who end the others in their order.
      detached: true,
      env: { ...baseEnvironment(), ...env },
      ...(cwd === undefined ? {} : { cwd }),
      ...user,
    })
    this.#process = child
    this.#collect(child.stdout)
    this.#collect(child.stderr)
    this.#ended = new Promise(resolve => {
      child.once('error', error => {
        this.#exit = error.message
        resolve()
      })
      child.once('exit', (code, signal) => {
        this.#exitCode = code ?? undefined
        this.#exit ??= signal ? `killed by ${signal}` : `exit code ${code}`
        // Its last words may still be in the pipe; children of its own may hold that open for longer.
        setTimeout(resolve, 2000).unref()
      })
      child.once('close', () => resolve())
    })
  }

  #collect(stream: NodeJS.ReadableStream | null): void {
    let rest = ''
    stream?.setEncoding('utf8')
    stream?.on('data', (chunk: string) => {
      const parts = (rest + chunk).split('\n')
      rest = parts.pop() ?? ''
      for (const line of parts) this.#add(line)
    })
    stream?.on('end', () => rest && this.#add(rest))
  }

  #add(line: string): void {
    this.lines.push(line)
    if (this.lines.length > keptLines * 2) {
      this.lines.splice(0, keptLines)
      this.#firstLine = Math.max(0, this.#firstLine - keptLines)
    }
    this.#options.onLine?.(line)
  }
}
