import type { Duplex } from 'node:stream'
import type { Delivery } from '@spectrum/bus'
import type { Command, Credentials, Sealed, SessionSnapshot } from '@spectrum/messages'
import type { Clock, Connector, ConnectTarget, Host, Logger, NetworkManifest } from '@spectrum/network'
import type { LoginTurn } from '../logins/login-queue.ts'
import type { WorkerMetrics } from '../metrics.ts'
import type { EventLane } from './event-lanes.ts'
import type { Session } from './session.ts'

/** Limits and times of sessions; milliseconds and bytes. */
export interface SessionLimits {
  /** Commands that may wait in one session's queue, and their size: 200 and 256 KiB. */
  readonly queueItems: number
  readonly queueBytes: number
  /** A join or a message that the network cannot take within this time is refused: 29 s. */
  readonly answerMs: number
  /** Between two snapshots of a session: 200 ms. */
  readonly snapshotMs: number
  /** Wait before the second attempt to connect, and the longest one: 1 s and 5 min. */
  readonly firstRetryMs: number
  readonly lastRetryMs: number
  /** A client that left its last room and is still there after this has left the room, and did not go: 3 s. */
  readonly leaveMs: number
  /** A client that lost lines is told nothing of the room until it has joined again, but for no longer than this: 30 s. */
  readonly lostMs: number
  /** So long it waits for frontends to return what such a client has lost besides, before it goes on: 2 s. */
  readonly returnsMs: number
  /** So long after a new stream to the XMPP server a client that joins is taken for one that lost lines: 2 min. */
  readonly doubtMs: number
  /** A session that no resource ever used ends after this: 2 min. */
  readonly unusedMs: number
  /** So long after the user's return to a room clients are not told that others, who may return too, have left: 15 s. */
  readonly missingMs: number
  /** So long clients are told nothing of it when a return gave them another nick: 5 min. */
  readonly ghostMs: number
}

export const defaultLimits: SessionLimits = {
  queueItems: 200,
  queueBytes: 256 * 1024,
  answerMs: 29_000,
  snapshotMs: 200,
  firstRetryMs: 1_000,
  lastRetryMs: 300_000,
  leaveMs: 3_000,
  lostMs: 30_000,
  returnsMs: 2_000,
  doubtMs: 120_000,
  unusedMs: 120_000,
  missingMs: 15_000,
  ghostMs: 300_000,
}

/** What all sessions of a worker share. */
export interface SessionContext {
  readonly connector: Connector
  readonly manifest: NetworkManifest
  readonly log: Logger
  readonly clock: Clock
  readonly metrics: WorkerMetrics
  readonly limits: SessionLimits
  readonly product: Host['product']
  /** What users without a setting of their own want: to stay connected when their last client goes. */
  readonly staysConnected: boolean
  readonly accounts: Accounts
  laneOf(user: string): EventLane
  /** Opens a room password that a frontend sealed to the instance. */
  openPassword(sealed: Sealed): Promise<string>
  readonly logins: LoginGate
  /** `heard`: the other end has said something, or the connection is over; also when it rejects. */
  connect(target: ConnectTarget, signal: AbortSignal, heard: () => void): Promise<Duplex>
}

/** When sessions may log in to their networks' hosts: all workers together ask a host only so often. */
export interface LoginGate {
  /** Logins of this process that wait for their turn. */
  readonly waiting: number
  /** Fulfils when it is the turn of a user who was active then; rejects with the signal's reason, and for nothing else. */
  admit(host: string, lastActiveMs: number, signal: AbortSignal): Promise<LoginTurn>
  /** The host said that it is asked too often. */
  throttled(host: string): void
}

/** What the router knows of a login. Calls reject NetworkError. */
export interface Accounts {
  fetch(session: Session): Promise<Credentials>
  save(session: Session, account: Credentials): Promise<void>
  /** The session is over: the placement goes. */
  release(session: Session): Promise<void>
}

/** What a session needs of the backend that it belongs to. */
export interface BackendLink {
  readonly number: number
  readonly epoch: number
  /** False while this process may not act for the backend: nothing may be handed to a network. */
  mayAct(): boolean
  /** False while nothing may reach a network's socket; a backend that is being handed over may still take its leave. */
  mayWrite(): boolean
  /**
   * Whether connections may be kept alive (a PONG) although nothing else may be written. A pause alone does not end a
   * session, so its network must not either: the bus is away, and the lease cannot be renewed. False once somebody
   * else runs the backend; and when this process stood still while it might not act, until its ownership is confirmed:
   * others had every reason to think it dead then.
   */
  mayKeepAlive(): boolean
  /** Somebody else runs the backend, for good. */
  readonly isLost: boolean
  /** All that this item caused has been handed over: it may be finished once that is durable. */
  done(delivery: Delivery<Command>): void
  /** An event was published to the lane. */
  touched(lane: EventLane): void
  /** Unique in the backend and epoch. */
  nextKey(): string
  saveSnapshot(user: string, snapshot: SessionSnapshot): Promise<void>
  deleteSnapshot(user: string): Promise<void>
  /** The session is over; what still waits in its queue goes back to the backend. */
  ended(session: Session, waiting: readonly Delivery<Command>[]): void
}
