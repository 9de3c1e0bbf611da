import { irc } from '@spectrum/irc'
import {
  NetworkError,
  type OutgoingMessage,
  type RoomId,
  type Rooms,
  type Session,
  type UserId,
} from '@spectrum/network'
import type { z } from 'zod'
import { loginOf, RecordingHost, realClock } from './recording-host.ts'

const silent = { debug() {}, info() {}, warn() {}, error() {} }

/** One IRC network as a worker process has it, with counters. */
export function createConnector(config: z.input<typeof irc.config>) {
  const counts = new Map<string, number>()
  const connector = irc.create(irc.config.parse({ floodRate: 0, ...config }), {
    log: silent,
    clock: realClock,
    count: reason => counts.set(reason, (counts.get(reason) ?? 0) + 1),
  })
  return { connector, counts }
}

/** A signed-in user as the session host drives them. */
export class GatewayUser {
  readonly host = new RecordingHost()
  readonly session: Session
  readonly #stop = new AbortController()
  /** How run() settled: `undefined` while it has not. */
  outcome: 'ended' | NetworkError | undefined
  readonly #run: Promise<void>
  #keys = 0

  constructor(
    connector: ReturnType<typeof createConnector>['connector'],
    username: string,
    password?: string,
    lastPrivateAt?: Date,
  ) {
    const login = loginOf(username, password === undefined ? {} : { password })
    this.session = connector.open(lastPrivateAt === undefined ? login : { ...login, lastPrivateAt }, this.host)
    this.#run = this.session.run(this.#stop.signal).then(
      () => {
        this.outcome = 'ended'
      },
      error => {
        this.outcome = NetworkError.from(error)
      },
    )
  }

  get rooms(): Rooms {
    const { rooms } = this.session.features
    if (rooms === undefined) throw new Error('IRC has rooms')
    return rooms
  }

  async join(room: string, password?: string): Promise<void> {
    const from = this.host.events.length
    this.rooms.join({ room: room as RoomId, nick: 'ignored', ...(password === undefined ? {} : { password }) })
    await this.host.next('room-ready', event => event.room === room, { from })
  }

  async say(chat: OutgoingMessage['chat'], text: string, more: Partial<OutgoingMessage> = {}): Promise<void> {
    await this.session.send({ key: `k${++this.#keys}`, chat, text, ...more })
  }

  occupants(room: string) {
    return [...this.rooms.occupants(room as RoomId)]
  }

  async stop(reason?: string): Promise<void> {
    this.#stop.abort(reason)
    await this.#run
  }

  async ended(): Promise<void> {
    await this.#run
  }
}

export const room = (name: string) => ({ kind: 'room', room: name as RoomId }) as const
export const contact = (name: string) => ({ kind: 'contact', user: name as UserId }) as const
export const occupant = (name: string, nick: string) => ({ kind: 'occupant', room: name as RoomId, nick }) as const
