import {
  type Bus,
  ConflictError,
  commandLane,
  type Entry,
  LaneFullError,
  placementKey,
  protoValue,
  type Table,
} from '@spectrum/bus'
import {
  Command,
  commandCodec,
  Placement,
  type Placement_Origin,
  Placement_State,
  type SessionSnapshot,
  type StopSession_Reason,
} from '@spectrum/messages'
import { NetworkError } from '@spectrum/network'

/** What a session starts with. */
export interface SessionStart {
  readonly username: string
  readonly settings: Readonly<Record<string, string>>
  /** What a session that is restored goes on from. */
  readonly snapshot?: SessionSnapshot
}

const durableTimeoutMs = 5_000

/** Publishes what starts and stops sessions to the lanes of their backends, and keeps the placements' state. */
export class StartSessions {
  readonly placements: Table<Placement>
  readonly #bus: Bus
  readonly #instance: string

  constructor(bus: Bus, instance: string) {
    this.#bus = bus
    this.#instance = instance
    this.placements = bus.table('placements', protoValue(Placement))
  }

  placementOf(user: string): Promise<Entry<Placement> | undefined> {
    return this.placements.get(placementKey(this.#instance, user))
  }

  /** Writes a new placement, not yet started. @throws ConflictError when the user has one */
  async create(user: string, backend: number, generation: number): Promise<Entry<Placement>> {
    const key = placementKey(this.#instance, user)
    const value = Placement.create({ backend, generation, state: Placement_State.STATE_STARTING })
    return { key, value, revision: await this.placements.create(key, value) }
  }

  /**
   * Writes that the user moves from the backend of `entry` to another, which that backend is not told yet: {@link finish}
   * does. @throws ConflictError when the placement has changed
   */
  async beginMove(entry: Entry<Placement>, backend: number, generation: number): Promise<Entry<Placement>> {
    const movedFrom = { backend: entry.value.backend, generation: entry.value.generation }
    const value = { backend, generation, state: Placement_State.STATE_STARTING, movedFrom }
    return { key: entry.key, value, revision: await this.placements.update(entry.key, value, entry.revision) }
  }

  /**
   * Tells the worker to start the session, or the one that has it to hand it over, and marks the placement started when
   * that is durable. Any router may do this at any time: a worker starts a generation once.
   *
   * @param start what the session starts with; not asked for one that is moved
   */
  async finish(
    user: string,
    entry: Entry<Placement>,
    start: () => Promise<SessionStart>,
    traceparent = '',
  ): Promise<Placement> {
    const { generation, movedFrom } = entry.value
    if (movedFrom) await this.#publishMove(user, entry.value, movedFrom, traceparent)
    else await this.#publishStart(user, entry.value, await start(), traceparent)
    const started = { ...entry.value, state: Placement_State.STATE_STARTED }
    try {
      await this.placements.update(entry.key, started, entry.revision)
    } catch (error) {
      if (!(error instanceof ConflictError)) throw error
      // Another router finished it too, or the session is over already: the generation tells.
      const now = await this.placements.get(entry.key)
      if (now?.value.generation !== generation)
        throw new NetworkError('unavailable', 'The session ended while it started.')
    }
    return started
  }

  /** Tells the worker to stop the session of this placement; fulfils when that is durable. */
  async stop(user: string, placement: Placement, reason: StopSession_Reason, key: string): Promise<void> {
    const { backend, generation, movedFrom } = placement
    const value = { reason, text: '' }
    const command = { $case: 'stopSession', value } as const
    const item = { key: `stop:${key}:${generation}:${user}`, user, generation, command }
    const stops = [this.#publish(backend, item)]
    // A session that is on its way comes through the old lane: there the stop cannot overtake it.
    if (movedFrom) stops.push(this.#publish(movedFrom.backend, item))
    await Promise.all(stops)
  }

  #publishStart(user: string, placement: Placement, start: SessionStart, traceparent: string): Promise<void> {
    const { backend, generation } = placement
    const value = { username: start.username, settings: { ...start.settings }, snapshot: start.snapshot }
    const key = `start:${generation}:${user}`
    return this.#publish(backend, { key, user, generation, traceparent, command: { $case: 'startSession', value } })
  }

  #publishMove(user: string, to: Placement, from: Placement_Origin, traceparent: string): Promise<void> {
    const value = { backend: to.backend, generation: to.generation }
    const { generation } = from
    const key = `move:${to.generation}:${user}`
    return this.#publish(from.backend, {
      key,
      user,
      generation,
      traceparent,
      command: { $case: 'moveSession', value },
    })
  }

  async #publish(backend: number, command: Parameters<typeof Command.fromPartial>[0]): Promise<void> {
    const lane = this.#bus.publisher(commandLane(this.#instance, backend), commandCodec)
    try {
      lane.publish(Command.fromPartial(command))
    } catch (error) {
      if (!(error instanceof LaneFullError)) throw error
      throw new NetworkError('unavailable', 'The backend has too much to do; please try again later.', { cause: error })
    }
    if (!(await isInTime(lane.durable(), durableTimeoutMs))) {
      throw new NetworkError('unavailable', 'The gateway cannot reach its bus; please try again later.', {
        certain: false,
      })
    }
  }
}

/** False when the time is over first. */
function isInTime(work: Promise<void>, limitMs: number): Promise<boolean> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => resolve(false), limitMs)
    const ended = () => clearTimeout(timer)
    work.then(() => resolve(true), reject).finally(ended)
  })
}
