import { setTimeout as delay } from 'node:timers/promises'
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
import { Command, commandCodec, Placement, Placement_State, type StopSession_Reason } from '@spectrum/messages'
import { NetworkError } from '@spectrum/network'

/** What a session starts with. */
export interface SessionStart {
  readonly username: string
  readonly settings: Readonly<Record<string, string>>
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
   * Tells the worker to start the session, and marks the placement started when that is durable. Any router may do this
   * at any time: a worker starts a generation once.
   */
  async finish(user: string, entry: Entry<Placement>, start: SessionStart, traceparent = ''): Promise<Placement> {
    const { backend, generation } = entry.value
    const { username, settings } = start
    await this.#publish(backend, {
      key: `start:${generation}:${user}`,
      user,
      generation,
      traceparent,
      command: { $case: 'startSession', value: { username, settings: { ...settings } } },
    })
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
    const { backend, generation } = placement
    const command = { $case: 'stopSession', value: { reason, text: '' } } as const
    await this.#publish(backend, { key: `stop:${key}:${generation}:${user}`, user, generation, command })
  }

  async #publish(backend: number, command: Parameters<typeof Command.fromPartial>[0]): Promise<void> {
    const lane = this.#bus.publisher(commandLane(this.#instance, backend), commandCodec)
    try {
      lane.publish(Command.fromPartial(command))
    } catch (error) {
      if (!(error instanceof LaneFullError)) throw error
      throw new NetworkError('unavailable', 'The backend has too much to do; please try again later.', { cause: error })
    }
    const ended = new AbortController()
    const tooLate = delay(durableTimeoutMs, 'late', { signal: ended.signal, ref: false }).catch(() => 'ended')
    const outcome = await Promise.race([lane.durable(), tooLate]).finally(() => ended.abort())
    if (outcome === 'late') {
      throw new NetworkError('unavailable', 'The gateway cannot reach its bus; please try again later.', {
        certain: false,
      })
    }
  }
}
