import { setTimeout as delay } from 'node:timers/promises'
import { type Bus, restoredKey, type Table } from '@spectrum/bus'
import { SessionSnapshot } from '@spectrum/messages'
import { failures, type Logger, NetworkError } from '@spectrum/network'
import type { LiveSession, Store } from '@spectrum/store'
import type { LeaderTerm } from '../placement/leader-term.ts'

export interface RestoreSessionsOptions {
  readonly bus: Bus
  readonly instance: string
  readonly store: Store
  readonly log: Logger
  /** placed and present need nothing more; failed is tried again, refused is given up. */
  readonly onRestored: (result: RestoreResult) => void
}

export type RestoreResult = 'restored' | 'over' | 'failed' | 'refused'

const pageSize = 200
/** Users who are brought back at a time; who logs in meanwhile does not wait behind the others. */
const concurrency = 32
const firstRetryMs = 1_000
const lastRetryMs = 15_000
/** Ends are remembered for so long, against late writes of what was before. */
const rememberEndsMs = 60 * 60_000

/**
 * Brings live sessions back after the bus has lost its tables: a marker in them is missing then. Every session of the database
 * whose user has no placement is placed and started again from its snapshot. The marker is written at the end, so that another
 * leader goes on where this one stopped.
 */
export class RestoreSessions implements AsyncDisposable {
  readonly #options: RestoreSessionsOptions
  readonly #markers: Table<Uint8Array>
  readonly #stopping = new AbortController()
  #isPending = true
  #running: Promise<void> | undefined

  private constructor(options: RestoreSessionsOptions) {
    this.#options = options
    this.#markers = options.bus.table('keys', { encode: (value: Uint8Array) => value, decode: bytes => bytes })
  }

  /** Looks whether there is anything to be done in this term of leadership. */
  static async open(options: RestoreSessionsOptions): Promise<RestoreSessions> {
    const restore = new RestoreSessions(options)
    restore.#isPending = (await restore.#markers.get(restoredKey(options.instance))) === undefined
    return restore
  }

  /**
   * What a session that starts now goes on from; undefined when it is new. Also for users who log in by themselves before it is
   * their turn to be restored.
   */
  async snapshotOf(user: string): Promise<SessionSnapshot | undefined> {
    if (!this.#isPending) return undefined
    const row = await this.#options.store.liveSessions.find(user)
    return row && this.#decode(row)
  }

  /** Begins to restore through the term, in the background; until it is disposed. */
  start(term: Pick<LeaderTerm, 'login' | 'remember'>): void {
    this.#running = this.#run(term).catch(error =>
      this.#options.log.error({ err: error }, 'sessions could not be restored'),
    )
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stopping.abort()
    await this.#running
  }

  async #run(term: Pick<LeaderTerm, 'login' | 'remember'>): Promise<void> {
    const { log, store, instance } = this.#options
    const { signal } = this.#stopping
    for (let pauseMs = firstRetryMs; this.#isPending && !signal.aborted; pauseMs = Math.min(pauseMs * 2, lastRetryMs)) {
      try {
        const { restored, failed } = await this.#pass(term)
        if (!signal.aborted && failed === 0) {
          await this.#markers.put(restoredKey(instance), new Uint8Array([1]))
          this.#isPending = false
          log.info({ sessions: restored }, 'the live sessions of the database are placed')
          break
        }
        if (failed > 0) log.warn({ restored, failed }, 'some sessions could not be restored and are tried again')
      } catch (error) {
        log.warn({ err: error }, 'sessions cannot be restored now; trying again')
      }
      // Aborting is the one way in which this wait fails.
      await delay(pauseMs, undefined, { signal, ref: false }).catch(() => signal.aborted)
    }
    if (signal.aborted) return
    const forgotten = await store.liveSessions.forgetEnded(new Date(Date.now() - rememberEndsMs))
    if (forgotten > 0) log.debug({ sessions: forgotten }, 'ended sessions were forgotten')
  }

  async #pass(term: Pick<LeaderTerm, 'login' | 'remember'>): Promise<{ restored: number; failed: number }> {
    const { store } = this.#options
    const counts = { restored: 0, failed: 0 }
    let page = await store.liveSessions.page(pageSize)
    while (page.length > 0 && !this.#stopping.signal.aborted) {
      const users = page.map(({ user }) => user).values()
      const work = async () => {
        for (const user of users) {
          if (this.#stopping.signal.aborted) return
          const result = await this.#restore(user, term)
          this.#options.onRestored(result)
          if (result === 'restored') counts.restored++
          if (result === 'failed') counts.failed++
        }
      }
      await Promise.all(Array.from({ length: concurrency }, work))
      page = await store.liveSessions.page(pageSize, page.at(-1)?.user)
    }
    return counts
  }

  async #restore(user: string, term: Pick<LeaderTerm, 'login' | 'remember'>): Promise<RestoreResult> {
    const { store, log } = this.#options
    try {
      // Looked at once more: it may have ended since the page was read.
      const row = await store.liveSessions.find(user)
      if (row === undefined) return 'over'
      // An account that is gone must not be made again by a login.
      if ((await store.accounts.find(user)) === undefined) {
        await store.liveSessions.save([{ user, generation: row.generation, isOnline: false }])
        return 'over'
      }
      term.remember(user, row.generation)
      await term.login({ user, nickHint: '' })
      return 'restored'
    } catch (error) {
      const { code } = NetworkError.from(error)
      const mayPass = code === 'unexpected' || failures[code].recovery === 'retry'
      log.warn({ err: error, user }, 'a session could not be restored')
      return mayPass ? 'failed' : 'refused'
    }
  }

  /** A row that cannot be read is a session without rooms. */
  #decode({ user, snapshot }: LiveSession): SessionSnapshot | undefined {
    try {
      return SessionSnapshot.decode(snapshot)
    } catch (error) {
      this.#options.log.error({ err: error, user }, 'a saved session cannot be read')
      return undefined
    }
  }
}
