import { lookup } from 'node:dns/promises'
import { connect as connectTcp, isIP, type Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import { type ConnectTarget, NetworkError } from '@spectrum/network'
import { whenHeard } from './first-word.ts'
import type { EgressPolicy, Refusal } from './policy.ts'
import { startTls } from './tls.ts'
import { Turnstile } from './turnstile.ts'

/** Resolves a name to addresses, in the order in which they shall be tried. */
export type Resolve = (host: string) => Promise<readonly string[]>

export interface EgressOptions {
  readonly policy: EgressPolicy
  /** Counts and logs what was refused. */
  readonly onRefused: (reason: Refusal, address: string, port: number) => void
  /** Default: the system's resolver. */
  readonly resolve?: Resolve
}

const defaultTimeoutMs = 15_000
/** How long one address may take while there are others to try. */
const patienceMs = 5_000
/** Who has said nothing for so long is not waited for: networks give a login up before that. */
const heardMs = 20_000

/**
 * The only way to the outside (`Host.connect`): resolves the name, judges every address, and connects to an address that
 * was judged, so that a name which resolves differently the second time gains nothing. Addresses are tried in turn.
 * Rejects NetworkError: `not-allowed` when the policy refuses all addresses, `unreachable` otherwise. `timeoutMs` (default
 * 15 s) covers resolution, connection and TLS handshake. What the operator's configuration names is not judged.
 */
export class Egress {
  readonly #options: EgressOptions
  readonly #resolve: Resolve
  readonly #turnstile = new Turnstile()

  constructor(options: EgressOptions) {
    this.#options = options
    this.#resolve = options.resolve ?? resolveBySystem
  }

  /** @param heard - called once: the other end has said something, or the connection is over, or was not made */
  async connect(target: ConnectTarget, signal: AbortSignal, heard: () => void = () => undefined): Promise<Duplex> {
    try {
      return await this.#connect(target, signal, heard)
    } catch (error) {
      heard()
      throw error
    }
  }

  async #connect(target: ConnectTarget, signal: AbortSignal, heard: () => void): Promise<Duplex> {
    const { host, port, tls, timeoutMs = defaultTimeoutMs } = target
    if (!Number.isInteger(port) || port < 1 || port > 65_535) throw new NetworkError('bad-request', 'That is no port.')
    const limit = AbortSignal.any([signal, AbortSignal.timeout(timeoutMs)])
    const addresses = this.#permitted(target, await unlessAborted(this.#addressesOf(host), limit, target))
    let last: unknown
    for (const [index, address] of addresses.entries()) {
      const isLast = index === addresses.length - 1
      const patience = isLast ? limit : AbortSignal.any([limit, AbortSignal.timeout(patienceMs)])
      try {
        const raw = await this.#open(`${host} ${port}`, address, port, patience)
        const socket = tls === undefined ? raw : await startTls(raw, host, tls, patience)
        whenHeard(raw, heardMs, heard)
        return socket
      } catch (error) {
        if (signal.aborted) throw signal.reason
        last = error
        if (limit.aborted) break
      }
    }
    throw unreachable(target, last, limit.aborted)
  }

  /** Opens the socket when it is its turn among those to the same host. */
  async #open(key: string, address: string, port: number, signal: AbortSignal): Promise<Socket> {
    await this.#turnstile.enter(key, signal)
    try {
      const socket = await openSocket(address, port, signal)
      this.#turnstile.leaveWhenHeard(key, socket)
      return socket
    } catch (error) {
      this.#turnstile.leave(key)
      throw error
    }
  }

  async #addressesOf(host: string): Promise<readonly string[]> {
    const bare = host.startsWith('[') && host.endsWith(']') ? host.slice(1, -1) : host
    if (isIP(bare) !== 0) return [bare]
    return this.#resolve(bare)
  }

  #permitted({ namedBy, port, host }: ConnectTarget, addresses: readonly string[]): readonly string[] {
    if (namedBy === 'operator') return addresses
    const { policy, onRefused } = this.#options
    const permitted = addresses.filter(address => {
      const refusal = policy.refusal(address, port)
      if (refusal !== undefined) onRefused(refusal, address, port)
      return refusal === undefined
    })
    if (permitted.length > 0) return permitted
    throw new NetworkError('not-allowed', `The gateway does not connect to ${host} port ${port}.`)
  }
}

async function resolveBySystem(host: string): Promise<string[]> {
  const found = await lookup(host, { all: true })
  return found.map(({ address }) => address)
}

function openSocket(address: string, port: number, signal: AbortSignal): Promise<Socket> {
  return new Promise((resolve, reject) => {
    if (signal.aborted) return reject(signal.reason)
    const socket = connectTcp({ host: address, port, noDelay: true, keepAlive: true, keepAliveInitialDelay: 60_000 })
    const abort = () => socket.destroy(new Error('took too long'))
    signal.addEventListener('abort', abort, { once: true })
    const settle = () => {
      signal.removeEventListener('abort', abort)
      socket.removeListener('connect', connected)
      socket.removeListener('error', failed)
    }
    const connected = () => {
      settle()
      resolve(socket)
    }
    const failed = (error: Error) => {
      settle()
      socket.destroy()
      reject(error)
    }
    socket.once('connect', connected)
    socket.once('error', failed)
  })
}

async function unlessAborted<T>(promise: Promise<T>, signal: AbortSignal, target: ConnectTarget): Promise<T> {
  const { promise: aborted, reject } = Promise.withResolvers<never>()
  const abort = () => reject(unreachable(target, signal.reason, true))
  signal.addEventListener('abort', abort, { once: true })
  try {
    return await Promise.race([promise, aborted])
  } catch (error) {
    throw error instanceof NetworkError ? error : unreachable(target, error, false)
  } finally {
    signal.removeEventListener('abort', abort)
  }
}

/** Words for the user; system errors are told by their code, which says enough (`ECONNREFUSED`). */
function unreachable({ host, port }: ConnectTarget, cause: unknown, isLate: boolean): NetworkError {
  const code = (cause as NodeJS.ErrnoException | undefined)?.code
  const words = isLate ? 'no answer in time' : (wordsOf[code ?? ''] ?? code ?? 'connection failed')
  return new NetworkError('unreachable', `${host} port ${port}: ${words}.`, { cause })
}

const wordsOf: Readonly<Record<string, string>> = {
  ECONNREFUSED: 'connection refused',
  ECONNRESET: 'connection reset',
  EHOSTUNREACH: 'no route to the host',
  ENETUNREACH: 'no route to the network',
  ENOTFOUND: 'no such host',
  EAI_AGAIN: 'the name could not be resolved now',
  ETIMEDOUT: 'no answer in time',
}
