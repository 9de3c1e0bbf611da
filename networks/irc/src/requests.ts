import { type Clock, NetworkError } from '@spectrum/network'
import type { Line } from './line.ts'

const ANSWER_MS = 20_000

/** What a line is to a request: its success, its failure, or nothing. */
export type Judge = (line: Line) => true | NetworkError | undefined

interface Pending {
  readonly judge: Judge
  readonly until: number
  resolve(): void
  reject(error: NetworkError): void
}

/** Requests whose outcome is told by a later line. IRC answers in order, so a line settles the oldest request it fits. */
export class Requests {
  readonly #clock: Clock
  #pending: Pending[] = []

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /** Fulfils or rejects as `judge` says; rejects `unavailable` (uncertain) when nothing came in time. */
  expect(judge: Judge): Promise<void> {
    const until = this.#clock.monotonic() + ANSWER_MS
    return new Promise((resolve, reject) => this.#pending.push({ judge, until, resolve, reject }))
  }

  /** True when the line was the failure of a request: it has been told then. */
  settle(line: Line): boolean {
    for (const [index, pending] of this.#pending.entries()) {
      const verdict = pending.judge(line)
      if (verdict === undefined) continue
      this.#pending.splice(index, 1)
      if (verdict === true) pending.resolve()
      else pending.reject(verdict)
      return verdict !== true
    }
    return false
  }

  get isEmpty(): boolean {
    return this.#pending.length === 0
  }

  tick(): void {
    const now = this.#clock.monotonic()
    const late = this.#pending.filter(pending => pending.until < now)
    if (late.length === 0) return
    this.#pending = this.#pending.filter(pending => pending.until >= now)
    for (const pending of late) {
      pending.reject(new NetworkError('unavailable', 'The IRC server did not answer.', { certain: false }))
    }
  }

  close(error: NetworkError): void {
    for (const pending of this.#pending.splice(0)) pending.reject(error)
  }
}
