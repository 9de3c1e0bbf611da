import { setTimeout as delay } from 'node:timers/promises'
import type { Credentials } from '@spectrum/messages'
import {
  type Account,
  type Contact,
  failures,
  type Login,
  type LoginId,
  NetworkError,
  type Session as NetworkSession,
  type OutgoingMessage,
  type Rooms,
  type SentMessage,
  type UserId,
} from '@spectrum/network'
import { RouterAwayError } from '../accounts.ts'
import { backOffMs } from './back-off.ts'
import { createHost, type Phase } from './host.ts'
import type { Session } from './session.ts'
import { Sockets } from './sockets.ts'

/** Online this long, a connection counts as good again: the next failure is a first one. */
const stableMs = 30_000
/** How long a network may take to close after its signal aborted. */
const closeMs = 5_000

/**
 * Keeps one session connected: fetches the account, opens the network's session, runs it, and tries again with growing
 * pauses for as long as the failure's recovery is `retry`. Any other failure ends the session, with words for the user.
 */
export class Connection {
  /** The network's session now; undefined before the first attempt and between attempts. */
  network: NetworkSession | undefined
  isOnline = false
  /** Why the last attempt ended; undefined once the network was online again. */
  lastFailure: NetworkError | undefined
  /** When the network was last heard before the connection broke; undefined when it was never online here. */
  lostAtMs: number | undefined
  /** Attempts in a row that failed. */
  failures = 0
  readonly #session: Session
  readonly #stopping = new AbortController()
  #attempt: AbortController | undefined
  #sockets: Sockets | undefined
  #account: Credentials | undefined
  #running: Promise<void> | undefined
  #giveUp: ((error: NetworkError) => void) | undefined
  #hurry: (() => void) | undefined
  #isRestarting = false

  constructor(session: Session) {
    this.#session = session
  }

  get rooms(): Rooms | undefined {
    return this.network?.features.rooms
  }

  start(): void {
    this.#running = this.#run().catch(error => {
      this.#session.log.error({ err: error }, 'the connection loop failed')
    })
  }

  /**
   * Ends the network's session for good; fulfils when it is closed, or after 5 s. What others said is received until then:
   * a network takes messages for the user up to the moment at which it reads that they leave.
   */
  async stop(): Promise<void> {
    this.#stopping.abort()
    this.#attempt?.abort()
    // Somebody else speaks for the user: no leave can be taken, and nothing that comes may be told.
    if (this.#session.link.isLost) this.#sockets?.destroy()
    const late = new AbortController()
    await Promise.race([this.#running, delay(closeMs, undefined, { signal: late.signal }).catch(() => undefined)])
    late.abort()
    this.#attempt = undefined
    this.#sockets?.destroy()
    this.#closed(new NetworkError('signed-out', 'You are signed out.'))
  }

  /** Somebody waits for the network: a pause between attempts ends now, unless it has only begun. */
  hurry(): void {
    this.#hurry?.()
  }

  /** Connects anew with the account as it is stored now. */
  restart(): void {
    this.#account = undefined
    if (this.#hurry !== undefined) return this.#hurry()
    this.#isRestarting = true
    this.#attempt?.abort()
  }

  /** @throws NetworkError; see {@link NetworkSession.send} */
  send(message: OutgoingMessage): SentMessage | Promise<SentMessage> {
    const { network } = this
    if (network === undefined) throw new NetworkError('unreachable', 'The network is not connected.')
    const sent = network.send(message)
    return this.guarded(sent)
  }

  /**
   * What the network promised, or a failure when the connection ends before: a session must not wait for ever on a
   * promise that nobody keeps. For the command being handled, of which there is one at a time.
   */
  guarded<T>(promised: Promise<T>): Promise<T>
  guarded<T>(promised: Promise<T> | T): Promise<T> | T
  guarded<T>(promised: Promise<T> | T): Promise<T> | T {
    if (!(promised instanceof Promise)) return promised
    return new Promise((resolve, reject) => {
      this.#giveUp = reject
      promised.then(resolve, reject)
    })
  }

  async #run(): Promise<void> {
    const { limits, metrics } = this.#session.context
    while (!this.#stopping.signal.aborted) {
      const failure = await this.#attemptOnce()
      if (this.#stopping.signal.aborted) return
      if (this.#isRestarting) {
        this.#isRestarting = false
        this.failures = 0
        continue
      }
      this.lastFailure = failure
      this.failures++
      // Then no connection was tried.
      if (!(failure instanceof RouterAwayError)) metrics.reconnects.inc({ code: failure.code })
      this.#session.connectionFailed(failure)
      if (failure instanceof DisownedError) return this.#session.disowned()
      if (!isRetried(failure)) return this.#session.connectionStopped(failure)
      await this.#pause(backOffMs(this.failures, limits.firstRetryMs, limits.lastRetryMs))
    }
  }

  /** Waits for the next attempt: that long, or until somebody wants it sooner or never. */
  async #pause(ms: number): Promise<void> {
    const { firstRetryMs } = this.#session.context.limits
    const pause = new AbortController()
    const since = this.#session.context.clock.monotonic()
    this.#hurry = () => {
      if (this.#session.context.clock.monotonic() - since >= firstRetryMs) pause.abort()
    }
    const over = AbortSignal.any([pause.signal, this.#stopping.signal])
    await delay(ms, undefined, { signal: over }).catch(() => undefined)
    this.#hurry = undefined
  }

  /** Why it ended. */
  async #attemptOnce(): Promise<NetworkError> {
    const session = this.#session
    const attempt = new AbortController()
    const sockets = new Sockets(session.link)
    this.#attempt = attempt
    this.#sockets = sockets
    session.events.lane.attach(sockets)
    let onlineAt: number | undefined
    let askedHost: string | undefined
    let isOver = false
    let failure = new NetworkError('unreachable', 'The network closed the connection.')
    try {
      const account = this.#account ?? (await fetchAccount(session))
      // What was fetched before a restart may be the old one.
      if (attempt.signal.aborted) return failure
      this.#account = account
      session.learn(account)
      const phase = (): Phase => {
        if (isOver || this.#attempt !== attempt || session.link.isLost) return 'over'
        return attempt.signal.aborted ? 'leaving' : 'open'
      }
      const online = () => {
        if (this.isOnline || phase() !== 'open') return
        onlineAt = session.context.clock.monotonic()
        this.isOnline = true
        this.lastFailure = undefined
        session.connectionOnline()
      }
      const asked = (name: string) => {
        askedHost = name
      }
      const host = createHost(session, sockets, attempt.signal, phase, online, asked)
      this.network = session.context.connector.open(toLogin(session, account), host)
      await this.network.run(attempt.signal)
    } catch (error) {
      failure = NetworkError.from(error)
      if (failure.code === 'unexpected') session.log.error({ err: failure.cause }, 'a network failed unexpectedly')
      if (failure.code === 'rate-limited' && askedHost !== undefined) session.context.logins.throttled(askedHost)
    } finally {
      isOver = true
      attempt.abort()
      sockets.destroy()
      session.events.lane.detach(sockets)
      if (onlineAt !== undefined && session.context.clock.monotonic() - onlineAt >= stableMs) this.failures = 0
      this.#closed(failure)
    }
    return failure
  }

  #closed({ message }: NetworkError): void {
    if (this.isOnline) this.lostAtMs = this.#session.context.clock.now()
    this.isOnline = false
    this.network = undefined
    this.#giveUp?.(new NetworkError('unreachable', message, { certain: false }))
    this.#giveUp = undefined
  }
}

/** While a backend changes hands the router may not know yet that it is ours. */
async function fetchAccount(session: Session): Promise<Credentials> {
  try {
    return await session.context.accounts.fetch(session)
  } catch (error) {
    if (!(error instanceof NetworkError)) throw error
    if (error.code === 'not-allowed') throw new NetworkError('unavailable', error.message, { cause: error })
    if (error.code === 'gone') throw new DisownedError(error)
    throw error
  }
}

/** The router says that the user does not belong here. */
class DisownedError extends NetworkError {
  override name = 'DisownedError'
  constructor(cause: NetworkError) {
    super('gone', cause.message, { cause })
  }
}

const isRetried = ({ code }: NetworkError): boolean => failures[code].recovery === 'retry'

function toLogin(
  { user, lastLines: { privateAtMs } }: Session,
  { username, password, hasPassword, extraJson, settings, contacts }: Credentials,
): Login {
  const account: Account = {
    username,
    settings,
    ...(hasPassword ? { password } : {}),
    ...(extraJson === '' ? {} : { extra: JSON.parse(extraJson) as unknown }),
  }
  const stored = contacts.map(
    ({ name, alias, groups }): Contact => ({ user: name as UserId, groups, ...(alias === '' ? {} : { name: alias }) }),
  )
  const lastPrivateAt = privateAtMs > 0 && { lastPrivateAt: new Date(privateAtMs) }
  return { id: user as LoginId, account, contacts: stored, ...lastPrivateAt }
}
