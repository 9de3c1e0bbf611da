import { type JoinRequest, NetworkError, type Presence } from '@spectrum/network'
import { Link, type LinkParts } from './link.ts'
import { parseTarget } from './targets.ts'

const FIRST_RETRY_MS = 2_000
const MAX_RETRY_MS = 300_000
/** A connection without rooms is kept this long after the last message. */
const IDLE_MS = 600_000

interface Served {
  readonly link: Link
  readonly stop: AbortController
  /** Settles at the first success or the first failure since somebody asked. */
  waiting: { promise: Promise<Link>; resolve(link: Link): void; reject(error: NetworkError): void } | undefined
  usedAt: number
  /** Ends the pause before the next attempt: somebody is waiting. */
  wake(): void
}

/** The IRC servers that one user chose by the names of rooms and contacts: a connection to each, made when first needed. */
export class ServerLinks {
  readonly #parts: LinkParts
  readonly #served = new Map<string, Served>()
  #signal: AbortSignal | undefined
  #presence: Presence | undefined

  constructor(parts: LinkParts) {
    this.#parts = parts
  }

  /** Online at once: whether a server can be reached is told by what is asked of it. */
  async run(signal: AbortSignal): Promise<void> {
    this.#signal = signal
    if (signal.aborted) return
    this.#parts.host.state('online')
    await new Promise(resolve => signal.addEventListener('abort', resolve, { once: true }))
    const served = [...this.#served.values()]
    const closed = served.map(({ link }) => link.closed)
    for (const { stop } of served) stop.abort(signal.reason)
    await Promise.all(closed)
  }

  get(server: string): Link | undefined {
    const served = this.#served.get(server)
    if (served) served.usedAt = this.#parts.host.clock.monotonic()
    return served?.link
  }

  list() {
    return [...this.#served].map(([name, { link }]) => ({ name, isOnline: link.isOnline }))
  }

  setPresence(presence: Presence): void {
    this.#presence = presence
    for (const { link } of this.#served.values()) link.setPresence(presence)
  }

  join(request: JoinRequest, name: string, server: string): void {
    const served = this.#serve(server)
    served.link.join(request, name)
    served.wake()
  }

  /** The connection to a server, once it is there. Rejects as the connection does. */
  open(server: string): Promise<Link> {
    const served = this.#serve(server)
    if (served.link.isOnline) return Promise.resolve(served.link)
    served.waiting ??= Promise.withResolvers<Link>()
    served.wake()
    return served.waiting.promise
  }

  #serve(server: string): Served {
    const known = this.#served.get(server)
    if (known) return known
    if (this.#signal === undefined || this.#signal.aborted)
      throw new NetworkError('signed-out', 'Not signed in to IRC.')
    this.#makeRoom()
    const link = new Link(this.#parts, `@${server}`)
    if (this.#presence) link.setPresence(this.#presence)
    const served: Served = {
      link,
      stop: new AbortController(),
      waiting: undefined,
      usedAt: this.#parts.host.clock.monotonic(),
      wake: () => {},
    }
    this.#served.set(server, served)
    void this.#supervise(server, served)
    return served
  }

  /** One user must not use up the sockets of all. @throws NetworkError `rate-limited` (a resource constraint) */
  #makeRoom(): void {
    const most = this.#parts.config.maxServersPerUser
    if (this.#served.size < most) return
    let idle: [string, Served] | undefined
    for (const entry of this.#served) {
      const [, { link, waiting, usedAt }] = entry
      if (link.rooms.size === 0 && waiting === undefined && usedAt < (idle?.[1].usedAt ?? Infinity)) idle = entry
    }
    if (idle === undefined) {
      this.#parts.count('too-many-servers')
      throw new NetworkError('rate-limited', `You may be connected to ${most} IRC servers at once, and you are.`)
    }
    this.#close(...idle)
  }

  /** Connects, and again after a break for as long as the user is in rooms there. Never rejects. */
  async #supervise(server: string, served: Served): Promise<void> {
    const { host, ticker } = this.#parts
    const tick = (): void => this.#closeIfIdle(server, served)
    ticker.add(tick)
    for (let failures = 0; !served.stop.signal.aborted; failures++) {
      try {
        await served.link.connect(parseTarget(server), 'user', served.stop.signal, () => {
          failures = 0
          served.waiting?.resolve(served.link)
          served.waiting = undefined
        })
        break
      } catch (error) {
        const failure = NetworkError.from(error)
        host.log.info({ err: failure, server, failures }, 'A connection to an IRC server ended.')
        served.waiting?.promise.catch(() => {})
        served.waiting?.reject(failure)
        served.waiting = undefined
        served.link.disconnected(failure)
        if (served.link.rooms.size === 0) break
        const ms = Math.min(MAX_RETRY_MS, FIRST_RETRY_MS * 2 ** failures) * (0.75 + Math.random() / 2)
        await pause(ms, served)
      }
    }
    ticker.delete(tick)
    if (this.#served.get(server) === served) this.#served.delete(server)
  }

  #closeIfIdle(server: string, served: Served): void {
    if (!served.link.isOnline || served.link.rooms.size > 0) return
    if (this.#parts.host.clock.monotonic() - served.usedAt <= IDLE_MS) return
    this.#close(server, served)
  }

  #close(server: string, served: Served): void {
    // Whoever needs the server from now on gets a new connection.
    this.#served.delete(server)
    served.stop.abort()
  }
}

function pause(ms: number, served: Served): Promise<void> {
  return new Promise(resolve => {
    const done = (): void => {
      clearTimeout(timer)
      served.stop.signal.removeEventListener('abort', done)
      served.wake = () => {}
      resolve()
    }
    const timer = setTimeout(done, ms)
    served.wake = done
    served.stop.signal.addEventListener('abort', done, { once: true })
  })
}
