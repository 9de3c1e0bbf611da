import type { Chat, Connector } from '@spectrum/network'
import type { SignedIn } from './signed-in.ts'

/** A line that the peer heard; `room` as the peer was asked to join it, absent for private lines. */
export interface HeardLine {
  readonly room?: string
  readonly text: string
}

/** Somebody on the network whom the tested session talks to. */
export interface Peer {
  /** How the tested session addresses them, and what rooms call them. */
  readonly name: string
  readonly nick: string
  /** All lines of others, in order. */
  heard(): readonly HeardLine[]
  /** Fulfils when in the room. */
  join(room: string): Promise<void>
  leave(room: string): Promise<void>
  sayIn(room: string, text: string): Promise<void>
  /** In private; `name` is what the tested session is called. */
  tell(name: string, text: string): Promise<void>
  /** The other side's own session, where there is one: what only the interface can express is checked there. */
  readonly login?: SignedIn
  close(): Promise<void>
}

/** A peer that is a second session of the network under test. */
export function sessionPeer(connector: Connector, login: SignedIn): Peer {
  const { session, host, account } = login
  const rooms = new Map<string, string>()
  let keys = 0
  const send = async (chat: Chat, text: string) => {
    await session.send({ key: `peer-${++keys}`, chat, text })
  }
  const roomsOf = () => {
    if (session.features.rooms === undefined) throw new Error('the network has no rooms')
    return session.features.rooms
  }
  return {
    name: account.username,
    nick: account.username,
    login,
    heard: () =>
      host.events.flatMap(event => {
        if (event.type !== 'message' || event.from.self === true || event.at !== undefined) return []
        const room = event.chat.kind === 'room' ? rooms.get(event.chat.room) : undefined
        return event.chat.kind === 'room'
          ? room === undefined
            ? []
            : [{ room, text: event.text }]
          : [{ text: event.text }]
      }),
    async join(name) {
      const room = connector.parseRoom(name)
      rooms.set(room, name)
      await roomsOf().join({ room, nick: account.username })
      await host.event('room-ready', event => event.room === room)
    },
    async leave(name) {
      await roomsOf().leave(connector.parseRoom(name))
    },
    sayIn: (room, text) => send({ kind: 'room', room: connector.parseRoom(room) }, text),
    tell: (name, text) => send({ kind: 'contact', user: connector.parseUser(name) }, text),
    close: async () => {
      await login.stop()
    },
  }
}
