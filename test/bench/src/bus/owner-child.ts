import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'

export interface OwnerRequest {
  own?: { from: number; to: number }
  finishHeld?: boolean
  /** Forget the counts after answering. */
  reset?: boolean
}

export interface OwnerAnswer {
  received: number
  disordered: number
  held: number
  unfinished: number
  /** Milliseconds from publish to delivery; every item, of a flood every 16th. */
  ages: number[]
}

/** A process that owns lanes. */
export class OwnerChild implements AsyncDisposable {
  readonly #child: ChildProcess

  private constructor(child: ChildProcess) {
    this.#child = child
  }

  static async start(urls: readonly string[], heldUser?: string): Promise<OwnerChild> {
    const child = fork(join(import.meta.dirname, 'lane-owner.ts'), [JSON.stringify([urls, heldUser])])
    await once(child, 'message')
    return new OwnerChild(child)
  }

  get pid(): number {
    return this.#child.pid ?? 0
  }

  async ask(request: OwnerRequest): Promise<OwnerAnswer> {
    const answer = once(this.#child, 'message')
    this.#child.send(request)
    return (await answer)[0] as OwnerAnswer
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const exit = once(this.#child, 'exit')
    this.#child.kill('SIGKILL')
    await exit
  }
}
