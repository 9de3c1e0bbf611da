import type { Clock, Logger } from '@spectrum/network'

export type ServiceName = 'frontend' | 'router' | 'worker'

/** Counts what happened, with its labels: refused, dropped, doubled, fenced … */
export type Count = (name: string, labels: Record<string, string>, value?: number) => void

export interface BusOptions {
  /** nats://… or tls://…; give a cluster by ONE name, so that a lost server is noticed at once. */
  servers: string[]
  /** Decides the permission set and the inbox prefix. */
  service: ServiceName
  /** The service's NATS user; absent only on a server without authorization. */
  nkeySeed?: string
  /** PEM; TLS is required when given or with tls://. */
  caFile?: string
  /** {@link instanceKey} of service.jid. */
  instance: string
  /** Of streams and buckets that this process creates; 1 by default. */
  replicas?: 1 | 3
  log: Logger
  clock?: Clock
  count?: Count
  /** Tuning; the defaults suit production, tests shorten them. */
  timings?: Partial<Timings>
  limits?: Partial<Limits>
}

/** Milliseconds. */
export interface Timings {
  /** Between heartbeats of a process: 3,000. */
  heartbeatMs: number
  /** After the last renewal an owner stops acting: 12,000. */
  leaseMs: number
  /** Without a heartbeat seen on an unbroken connection, a process is dead: 15,000. Must exceed leaseMs. */
  deathMs: number
  /** The server's idle heartbeat to a reader: 5,000; 2.2 of them missed reopen it. */
  readerHeartbeatMs: number
  /** At most so long after an item was finished the cursor is written: 50. */
  commitMs: number
  /** A lane is purged up to its cursor at least this far apart, and after going idle: 5,000. 16 MiB purge it sooner. */
  purgeMs: number
  /** A batch without an answer is sent again: 1,500. */
  ackTimeoutMs: number
  /** A lane without room is tried for so long before those who asked to be told are refused: 2,000. */
  fullPatienceMs: number
}

export interface Limits {
  /** Messages (batches) that one lane may hold per publishing service: 50,000. */
  maxMessagesPerLane: number
  /** Of a lane stream, in bytes: 1 GiB. */
  maxStreamBytes: number
  /**
   * What the publishers of one service may fill of the stream with one lane whose owner finishes nothing, as a fraction:
   * 1/8. Beyond it the lane counts as full: items are refused or held as if the stream were.
   */
  maxLaneShare: number
}
