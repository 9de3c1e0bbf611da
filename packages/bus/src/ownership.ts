import type { ServiceName } from './options.ts'

/** A process, as its heartbeat tells. */
export interface ProcessInfo {
  readonly process: string
  readonly service: ServiceName
  readonly host: string
  readonly pid: number
  /** What the process adds ({@link Owners.setInfo}). */
  readonly info: Record<string, unknown>
}

export interface Owner {
  readonly process: string
  readonly epoch: number
}

/** Who owns what. Nothing expires: an owner is replaced when it let go or is known to be dead. */
export interface Owners {
  /**
   * Takes the resource when nobody owns it, its owner is known dead, or let go of it; undefined when somebody else has
   * it. Compare-and-set on the owner record, epoch + 1 (a first epoch is the time in seconds, so that epochs grow even
   * over a wiped server). Waits for this process's own heartbeat. For 5 s after a reconnect what has no record is not taken: the
   * server may have been emptied, and its owner be about to write it again. Undefined when `signal` aborts before that.
   */
  acquire(resource: string, signal?: AbortSignal): Promise<Ownership | undefined>
  /** Who owns it now as far as this process knows (a read). */
  ownerOf(resource: string): Promise<Owner | undefined>
  /** All current owners whose resource starts with the prefix (whole tokens), kept up to date; for spreading and take-over. */
  watch(
    prefix: string,
    /** `next`: whom the last owner wished to take what it let go of; others should wait a moment. */
    listener: (resource: string, owner: Owner | undefined, next?: string) => void,
  ): Promise<Disposable>
  /**
   * A process died as seen by this one: no heartbeat for 15 s on an unbroken connection, its pid is gone on this host
   * (polled every second), or its death was reported.
   */
  onDeath(listener: (process: string) => void): Disposable
  isDead(process: string): boolean
  /** A launcher saw the exit. Told to all processes. A frontend's or worker's report counts only for its own kind. */
  reportDeath(process: string): void
  /** Live processes of a service (default: all), from heartbeats. */
  processes(service?: ServiceName): readonly ProcessInfo[]
  /** What this process adds to its heartbeat (e.g. load). Told within a moment. */
  setInfo(info: Record<string, unknown>): void
  /** Whether the others can know what was set last. */
  readonly isInfoTold: boolean
}

/** One resource in this process's hand. Disposing releases it. */
export interface Ownership extends AsyncDisposable {
  readonly resource: string
  readonly epoch: number
  /** The last owner did not let go of it: it died. */
  readonly isTakeOver: boolean
  /**
   * The last heartbeat renewal is younger than 12 s (monotonic clock), it was confirmed after any lapse, and no higher
   * epoch is known. Checked before each publish and each socket write; false is a pause, not yet a loss.
   */
  mayAct(): boolean
  /** Called once when it is lost for good; at once when it is lost already. */
  onLost(listener: (reason: string) => void): Disposable
  /** Writes the record as free, so that others take over at once; `next`: who should. */
  release(next?: string): Promise<void>
  /** Tells the ownership what a fenced write revealed: somebody has a higher epoch. */
  lose(reason: string): void
}
