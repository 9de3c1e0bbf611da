import { Child, type ChildOptions } from './child.ts'
import type { TemporaryFolder } from './temporary.ts'

/** A real server on loopback with a folder of its own. Disposing it ends the process and removes the folder. */
export class Server implements AsyncDisposable {
  readonly child: Child
  /** Its configuration and data. */
  readonly dir: string
  /** Ends it at once without leaving processes or shared memory behind. */
  protected readonly discardSignal: NodeJS.Signals = 'SIGKILL'
  #folder: TemporaryFolder | undefined

  constructor(child: Child, dir: string, folder?: TemporaryFolder) {
    this.child = child
    this.dir = dir
    this.#folder = folder
  }

  get pid(): number {
    return this.child.pid
  }

  /** What it printed over all its runs. */
  get log(): string {
    return this.child.log
  }

  /** Sends a signal, `SIGKILL` by default, and waits for the end if the signal ends it. */
  kill(signal?: NodeJS.Signals): Promise<void> {
    return this.child.kill(signal)
  }

  /** Ends it in an orderly way, keeping its data. */
  stop(): Promise<void> {
    return this.child.stop()
  }

  /** Starts it again after {@link kill} or {@link stop}, on the same ports and data. */
  start(): Promise<void> {
    return this.child.start()
  }

  /** Stops it if it runs, and starts it on the same ports and data. */
  restart(): Promise<void> {
    return this.child.restart()
  }

  /** Ends it at once, since its data goes too; to keep data that lies elsewhere, {@link stop} it first. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.child.kill(this.discardSignal)
    await this.#folder?.[Symbol.asyncDispose]()
  }
}

/** Starts the process of a server; its folder goes when it does not come up. */
export async function startChild(options: ChildOptions, folder?: TemporaryFolder): Promise<Child> {
  try {
    return await Child.start(options)
  } catch (error) {
    await folder?.[Symbol.asyncDispose]()
    throw error
  }
}
