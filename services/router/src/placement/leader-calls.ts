import { setTimeout as delay } from 'node:timers/promises'
import { type Bus, type Client, leaderResource } from '@spectrum/bus'
import {
  type LoginRequest,
  type Placement,
  type ReleaseRequest,
  type RemovePlacementRequest,
  type ReportIdleRequest,
  RouterDefinition,
} from '@spectrum/messages'
import { NetworkError } from '@spectrum/network'
import type { Asking, LeaderTerm } from './leader-term.ts'

const totalMs = 7_000
const attemptMs = 3_000
const pauseMs = 100
/** Who has to wait for a turn asks again after this. */
export const turnMs = 2_000

/**
 * What only the leading router does, asked of it wherever it is: here, or over the bus. A leader that goes meanwhile is
 * followed for 7 s; then `unavailable`. All of them may be asked again without harm.
 */
export class LeaderCalls implements Disposable {
  readonly #client: Client<RouterDefinition>
  readonly #local: () => LeaderTerm | undefined
  readonly #asked = new Set<(error: NetworkError) => void>()
  readonly #deaths: Disposable

  constructor(bus: Bus, instance: string, local: () => LeaderTerm | undefined) {
    this.#client = bus.client(RouterDefinition, { target: leaderResource(instance) })
    this.#local = local
    // Whoever died may be the one that was asked: all ask again, rather than wait for an answer that may not come.
    this.#deaths = bus.owners.onDeath(() => {
      for (const giveUp of this.#asked) giveUp(new NetworkError('unavailable', 'A router died.', { certain: false }))
    })
  }

  [Symbol.dispose](): void {
    this.#deaths[Symbol.dispose]()
  }

  login(request: LoginRequest, asking: Asking = {}): Promise<Placement> {
    const { traceparent } = asking
    return this.#ask(
      leader => leader.login(request, { ...asking, limitMs: turnMs }),
      timeoutMs => this.#client.login(request, { timeoutMs, ...(traceparent === undefined ? {} : { traceparent }) }),
    )
  }

  async release(request: ReleaseRequest): Promise<void> {
    await this.#ask<unknown>(
      leader => leader.release(request),
      timeoutMs => this.#client.release(request, { timeoutMs }),
    )
  }

  async removePlacement(request: RemovePlacementRequest): Promise<void> {
    await this.#ask<unknown>(
      leader => leader.removePlacement(request),
      timeoutMs => this.#client.removePlacement(request, { timeoutMs }),
    )
  }

  async reportIdle(request: ReportIdleRequest): Promise<void> {
    await this.#ask<unknown>(
      leader => leader.moveIdle(request),
      timeoutMs => this.#client.reportIdle(request, { timeoutMs }),
    )
  }

  async #ask<Reply>(
    here: (leader: LeaderTerm) => Promise<Reply>,
    there: (timeoutMs: number) => Promise<Reply>,
  ): Promise<Reply> {
    const deadline = performance.now() + totalMs
    for (;;) {
      const leader = this.#local()
      try {
        if (leader) return await here(leader)
        return await this.#unlessDead(there(Math.min(attemptMs, Math.max(pauseMs, deadline - performance.now()))))
      } catch (error) {
        // Our own trouble, such as the database's, is not mended by asking ourselves again.
        const mayPass = error instanceof NetworkError && error.code === 'unavailable' && !leader?.mayAct
        if (!mayPass || performance.now() + pauseMs >= deadline) throw error
      }
      await delay(pauseMs)
    }
  }

  #unlessDead<Reply>(answer: Promise<Reply>): Promise<Reply> {
    return new Promise((resolve, reject) => {
      this.#asked.add(reject)
      answer.then(resolve, reject).finally(() => this.#asked.delete(reject))
    })
  }
}
