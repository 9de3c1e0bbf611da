import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import type { OwnerSettings } from './owner-process.ts'
import { until } from './until.ts'

/** One owner process of the tests. */
export class OwnerChild {
  readonly child: ChildProcess
  processId = ''
  owns: number | undefined
  lost: string | undefined

  private constructor(child: ChildProcess) {
    this.child = child
    child.on('message', (message: { ready?: string; owns?: number; lost?: string }) => {
      if (message.ready) this.processId = message.ready
      if (message.owns) this.owns = message.owns
      if (message.lost) this.lost = message.lost
    })
  }

  static async start(settings: OwnerSettings): Promise<OwnerChild> {
    const owner = new OwnerChild(fork(join(import.meta.dirname, 'owner-process.ts'), [JSON.stringify(settings)]))
    await until(() => owner.processId !== '', { deadlineMs: 30_000, describe: () => 'the owner did not start' })
    return owner
  }

  get pid(): number {
    return this.child.pid ?? 0
  }

  take(): void {
    this.child.send('take')
  }

  /** It tells the sink that whatever it held has been written; see {@link Sink.lastWords}. */
  sayLastWord(): void {
    this.child.send('last-word')
  }

  signal(signal: NodeJS.Signals): void {
    this.child.kill(signal)
  }

  async kill(): Promise<void> {
    if (this.child.exitCode !== null || this.child.signalCode !== null) return
    const exited = once(this.child, 'exit')
    this.child.kill('SIGKILL')
    await exited
  }
}
