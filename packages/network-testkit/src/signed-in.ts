import { type Account, type Connector, type LoginId, NetworkError, type Session } from '@spectrum/network'
import type { TestHost } from './test-host.ts'
import { until, within } from './until.ts'

/** A session that runs, with the host it runs in. */
export class SignedIn {
  readonly account: Account
  readonly host: TestHost
  readonly session: Session
  /** Settles when run() does: with nothing after a wanted end, else with the error. */
  readonly over: Promise<NetworkError | undefined>
  readonly #stop = new AbortController()
  #isOver = false

  constructor(connector: Connector, account: Account, host: TestHost, login: string = account.username) {
    this.account = account
    this.host = host
    this.session = connector.open({ id: login as LoginId, account, contacts: [] }, host)
    if (host.connects !== 0) throw new Error('open() did I/O')
    this.over = this.session
      .run(this.#stop.signal)
      .then(
        () => undefined,
        reason => {
          if (reason instanceof NetworkError) return reason
          throw new Error('run() rejected with something that is no NetworkError', { cause: reason })
        },
      )
      .finally(() => {
        this.#isOver = true
      })
  }

  /** Fulfils when the network accepted the login; rejects with what run() rejected with. */
  async online(): Promise<this> {
    await until(
      () => this.host.isOnline || this.#isOver,
      () => `being online; there are:\n${this.host.describe()}`,
    )
    if (this.host.isOnline) return this
    throw (await this.over) ?? new Error('run() fulfilled before the session was online')
  }

  /** Signs out and waits for run() to settle. */
  async stop(): Promise<NetworkError | undefined> {
    this.#stop.abort()
    return within(this.over, 'run() to settle after its signal aborted')
  }
}
