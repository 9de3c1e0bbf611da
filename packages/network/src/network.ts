import type { Duplex } from 'node:stream'
import type { z } from 'zod'
import type { ChatFeatures, SessionFeatures } from './features.ts'
import type { Chat, LoginId, RoomId, UserId } from './ids.ts'
import type { Account, LoginFlow } from './login.ts'
import type { Contact, NetworkEvent, OutgoingMessage, SentMessage } from './messages.ts'

/** What `networks/<id>/src/index.ts` exports: a module that speaks one legacy network. */
export interface Network<Config extends z.ZodObject = z.ZodObject> {
  /** Folder name, and the value of `service.backend`. */
  readonly id: string
  readonly name: string
  /** XEP-0100 / disco identity type of the gateway (`irc`, `simple` …) unless `identity.type` says otherwise. */
  readonly identityType: string
  /**
   * Its settings: become documentation, environment names and chart values. A field's option in the `.cfg` is
   * `<id>.<field in snake_case>`, or what `.meta({ option: 'service.irc_server' })` says.
   */
  readonly config: Config
  create(config: z.output<Config>, context: ConnectorContext): Connector
}

/** What a worker gives a network once. */
export interface ConnectorContext {
  readonly log: Logger
  /** Milliseconds since the epoch, and monotonic milliseconds: passed in so that tests can turn the clock. */
  readonly clock: Clock
  /**
   * Counts something that a network refused, dropped or discarded, by reason (a short constant in kebab-case that becomes a
   * metric's label). Nothing may be discarded without it; absent in tests that do not care.
   */
  count?(reason: string): void
}

export interface Clock {
  now(): number
  monotonic(): number
}

/** What is true of the network before anybody has logged in; the frontend learns it as the instance's manifest. */
export interface NetworkManifest {
  readonly registration: {
    /** False: whoever sends presence is let in (Spectrum 2's needRegistration). */
    readonly isRequired: boolean
    readonly needsPassword: boolean
    /**
     * Regular expression source (with flag `u`) that the whole of a username must match to be registered, so that one
     * which no server would take is refused at once; absent: every name without control characters.
     */
    readonly usernamePattern?: string
    /** True where a password may be given although none is needed: it is asked for, and may be left out. */
    readonly acceptsPassword?: boolean
  }
  readonly hasRooms: boolean
  readonly hasReceipts: boolean
  readonly hasRawXml: boolean
  /** False: names are put into JIDs with `%` for `@` instead of XEP-0106 (Spectrum 2's disable_jid_escaping). */
  readonly escapesJids: boolean
  /** True: names end with no domain, so a `%` in a JID is itself and never stands for `@`. Only where `escapesJids`. */
  readonly keepsPercent?: boolean
  /** Regular expression source that tells a room's name from a person's (IRC: `^[#&+!]`); absent: nothing tells. */
  readonly roomPattern?: string
  /** What tells a room's name, in words for somebody who joined something else ("IRC channels begin with #."). */
  readonly roomHint?: string
  /** Rooms everybody may see before logging in. */
  readonly rooms?: readonly { readonly room: RoomId; readonly name: string }[]
}

/** One per worker process and instance. */
export interface Connector {
  /** Resolves when known; a network that must ask (an outside backend) may take its time, disco waits for it. */
  manifest(): Promise<NetworkManifest>
  readonly loginFlows?: readonly LoginFlow[]
  /** The canonical id for a name as it stands in a JID, unescaped. Throws NetworkError `bad-address` for a name that cannot exist. */
  parseUser(name: string): UserId
  parseRoom(name: string): RoomId
  /** Checks a name that somebody wants to register; throws NetworkError `not-acceptable`. Returns it as it shall be stored. */
  parseUsername(name: string): string
  /** Builds the session without doing any I/O: the work starts in {@link Session.run}. */
  open(login: Login, host: Host): Session
  stop?(): Promise<void>
}

export interface Login {
  readonly id: LoginId
  readonly account: Account
  /** The stored contact list, for networks that keep none themselves (Spectrum 2's BUDDIES). */
  readonly contacts: readonly Contact[]
  /**
   * When the last private message came, by the network's clock, before a connection broke or its process died. A network that
   * keeps the past tells what others have written to the user since.
   */
  readonly lastPrivateAt?: Date
}

/** One per signed-in user. Methods are called in the user's order, one unfinished `send` at a time. */
export interface Session {
  readonly features: SessionFeatures
  /**
   * Connects, and settles when the connection is over: fulfils after `signal` aborts, rejects with a NetworkError otherwise.
   * Retrying and backing off is the host's business, never the network's. Called once in a session's life.
   */
  run(signal: AbortSignal): Promise<void>
  /**
   * Hands one message to the network, in order. Returns (or fulfils) when the network took it as far as it can tell: an
   * acknowledgement where it has one, else the write to its socket. A synchronous return is the fast path. While the
   * promise is pending (flood control, a full socket) only this user's own messages wait. Throws or rejects NetworkError.
   */
  send(message: OutgoingMessage): SentMessage | Promise<SentMessage>
  /** Answers from memory. */
  featuresOf(chat: Chat): ChatFeatures
}

/** What the worker gives a session. */
export interface Host {
  readonly log: Logger
  readonly clock: Clock
  /** How the gateway calls itself towards the network: product and version, for CTCP VERSION and the like. */
  readonly product: { readonly name: string; readonly version: string; readonly contact?: string }
  /**
   * Hands an event over; order is kept. Never throws because of the event: the host holds what it cannot publish yet and
   * stops reading from the session's sockets instead (they pause). Await {@link Host.flushed} before acknowledging.
   */
  emit(event: NetworkEvent): void
  /** Fulfils when all that was emitted so far is durable. */
  flushed(): Promise<void>
  /** `online` once the network has accepted the login; before it, nothing but `connecting` and notices may be told. */
  state(state: 'connecting' | 'online', text?: string): void
  /** Replaces what is stored of the account (a renewed token). Fulfils when it is stored. */
  saveAccount(change: Partial<Pick<Account, 'password' | 'extra'>>): Promise<void>
  /**
   * Fulfils when a login to this host may begin: hosts are asked only so often, by all workers together. {@link Host.connect}
   * asks by itself; a network that opens no socket of its own asks before it logs in. May take minutes while many come
   * back; rejects with the signal's reason, and for nothing else.
   */
  admit(host: string, signal: AbortSignal): Promise<void>
  /**
   * The only way to the outside: resolves the name, applies the egress policy to every address and connects to the one
   * that was checked. Rejects NetworkError: `not-allowed` for a refused target, `unreachable` otherwise.
   */
  connect(target: ConnectTarget, signal: AbortSignal): Promise<NetworkSocket>
}

/** A connection that the host made. Its writes leave in order; the host may hold them back, and stop reading, for a while. */
export interface NetworkSocket extends Duplex {
  /**
   * Writes what keeps the connection alive and does nothing else, and tells nobody anything: the answer to the network's
   * ping. While the process may not speak for the user (it is cut off from the bus, and somebody may come to take its
   * place) writes are held back; this one is not, so that the network does not drop a user whose worker only waits. It leaves
   * between two writes, so each write of the connection, and `bytes`, must consist of whole lines (frames, packets). A
   * process that has lost the user to another, or that stood still and does not know whether it has, sends nothing:
   * then, as whenever ordinary writes are allowed, it is an ordinary write. Absent where nothing is ever held back: write
   * instead.
   */
  writeKeepAlive?(bytes: Uint8Array): void
}

export interface ConnectTarget {
  readonly host: string
  readonly port: number
  /** TLS at once. Certificates are verified against `servername` (default `host`) unless `verify` is false. */
  readonly tls?: {
    readonly servername?: string
    readonly verify?: boolean
    readonly fingerprintSha256?: string
    readonly cert?: string
    readonly key?: string
    readonly alpn?: readonly string[]
  }
  /** Who named the target: the operator's configuration is trusted, a user's choice goes through the egress policy. */
  readonly namedBy: 'operator' | 'user'
  readonly timeoutMs?: number
}

/** Fields first, then a fixed sentence. Never bodies, never secrets. */
export interface Logger {
  debug(fields: object, message: string): void
  info(fields: object, message: string): void
  warn(fields: object, message: string): void
  error(fields: object, message: string): void
}

/** Declares a network; the identity function that keeps the types together. */
export function defineNetwork<Config extends z.ZodObject>(network: Network<Config>): Network<Config> {
  return network
}
