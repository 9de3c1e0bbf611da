import type { MessageId, ReceivedMessage } from '@spectrum/network'
import type { Room } from './room.ts'
import type { Session } from './session.ts'

/** What was told of a room last: the network's id of the line, and when it was said by the network's clock. */
export interface LastLine {
  readonly networkId?: MessageId
  readonly atMs: number
}

/** As the snapshot has it. */
export const storedLine = (line: LastLine | undefined) => ({
  lastLineId: line?.networkId ?? '',
  lastLineAtMs: line?.atMs ?? 0,
})

/** Between two looks at what has become durable: a fraction of what lies between two snapshots. */
const lookMs = 50

/**
 * Keeps for each room, and for private messages, where what the user was told ends, so that a network which keeps the past
 * can tell what comes after it: this process after a break, another one after a crash. What goes into the snapshot is durable on the
 * event lane: a line that was told and lost with the process would never be told again. One look for all lines of some
 * time, and no more snapshots than {@link Session.snapshots} allows.
 */
export class LastLines {
  /** When the last private message came; milliseconds by the network's clock. 0: not known. */
  privateAtMs = 0
  /** The same, as far as it is durable. */
  #durablePrivateAtMs = 0
  readonly #session: Session
  readonly #news = new Set<Room>()
  #hasPrivateNews = false
  #timer: NodeJS.Timeout | undefined
  /** What is durable now is in no snapshot yet. */
  #isStale = false
  #looking: Promise<void> | undefined

  constructor(session: Session) {
    this.#session = session
  }

  /** A line of the room was told. Does nothing where the network does not keep the past. */
  told(room: Room, { id, saidAt, at }: Pick<ReceivedMessage, 'id' | 'saidAt' | 'at'>): void {
    if (!room.fillsGaps) return
    const atMs = (saidAt ?? at)?.getTime() ?? this.#session.context.clock.now()
    room.lastLine = id === undefined ? { atMs } : { networkId: id, atMs }
    this.#news.add(room)
    this.#lookSoon()
  }

  /** A private message was told. */
  privateTold({ saidAt, at }: Pick<ReceivedMessage, 'saidAt' | 'at'>): void {
    this.privateAtMs = (saidAt ?? at)?.getTime() ?? this.#session.context.clock.now()
    if (!this.#session.connection.rooms?.fillsGaps?.()) return
    this.#hasPrivateNews = true
    this.#lookSoon()
  }

  /** The network is there: from now on private messages can be missed. */
  connected(): void {
    if (this.privateAtMs === 0) this.privateTold({})
  }

  restore(privateAtMs: number): void {
    this.privateAtMs = privateAtMs
    this.#durablePrivateAtMs = privateAtMs
  }

  /** What a snapshot that is being taken has of it. */
  recorded(): { readonly privateAtMs: number } {
    this.#isStale = false
    return { privateAtMs: this.#durablePrivateAtMs }
  }

  /** The session goes on elsewhere: what was told becomes what is recorded, once it is durable. */
  async settle(): Promise<void> {
    await this.#looking
    await this.#look()
    if (this.#isStale) this.#session.snapshots.markChanged()
  }

  close(): void {
    clearTimeout(this.#timer)
  }

  #lookSoon(): void {
    this.#timer ??= setTimeout(() => {
      this.#timer = undefined
      this.#looking ??= this.#look().finally(() => {
        this.#looking = undefined
        this.#again()
      })
    }, lookMs).unref()
  }

  #again(): void {
    if (this.#isStale) this.#session.snapshots.markOutdated()
    if (this.#isStale || this.#news.size > 0 || this.#hasPrivateNews) this.#lookSoon()
  }

  /** Never rejects. */
  async #look(): Promise<void> {
    const told = [...this.#news].map(room => [room, room.lastLine] as const)
    const { privateAtMs } = this
    if (told.length === 0 && !this.#hasPrivateNews) return
    this.#news.clear()
    this.#hasPrivateNews = false
    try {
      await this.#session.events.lane.durable()
      for (const [room, line] of told) room.durableLine = line
      this.#durablePrivateAtMs = privateAtMs
      this.#isStale = true
    } catch (error) {
      // The next owner asks for what was said after an older line.
      this.#session.log.debug({ err: error }, 'what was told last could not be made durable')
    }
  }
}
