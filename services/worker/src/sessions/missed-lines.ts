import type { Command, MessageReceived } from '@spectrum/messages'
import type { Room } from './room.ts'
import type { Session } from './session.ts'

/** What is kept of one session, in memory only: lines, and bytes of their text. */
const most = { lines: 1_000, bytes: 256 * 1_024 }

type MessagesReturned = Extract<NonNullable<Command['command']>, { $case: 'messagesReturned' }>['value']

interface Missed {
  readonly roomName: string
  readonly message: MessageReceived
  readonly bytes: number
  /** How many clients missed it. */
  readonly readers: number
  /** Clients that have it now, under their old names or others. */
  readonly told: Set<string>
}

/**
 * Room lines that clients of a session cannot have read, in the order in which they were said, until a client is in the room
 * again. The oldest give way to newer ones and are counted. In memory only: a worker's crash in between loses them.
 */
export class MissedLines {
  readonly #lines: Missed[] = []
  #bytes = 0

  get size(): number {
    return this.#lines.length
  }

  /** How many lines gave way. */
  keep(roomName: string, message: MessageReceived, readers: number): number {
    const bytes = Buffer.byteLength(message.body) + Buffer.byteLength(message.xhtml)
    this.#lines.push({ roomName, message, bytes, readers, told: new Set() })
    this.#bytes += bytes
    let dropped = 0
    while (this.#lines.length > most.lines || this.#bytes > most.bytes) {
      this.#bytes -= this.#lines.shift()?.bytes ?? 0
      dropped++
    }
    return dropped
  }

  /** What a client that comes into the room has not been told yet. A line is forgotten when as many have it as had missed it. */
  take(roomName: string, resource: string): MessageReceived[] {
    const taken: MessageReceived[] = []
    const rest = this.#lines.filter(line => {
      if (line.roomName !== roomName || line.told.has(resource)) return true
      taken.push(line.message)
      line.told.add(resource)
      return line.told.size < line.readers
    })
    this.#lines.splice(0, this.#lines.length, ...rest)
    this.#bytes = rest.reduce((sum, { bytes }) => sum + bytes, 0)
    return taken
  }

  /** The user signed out: how many nobody will read. */
  clear(): number {
    this.#bytes = 0
    return this.#lines.splice(0).length
  }
}

/** From a frontend after a restart of the XMPP server. Lines of a room that the user is not in any more are counted only. */
export function messagesReturned(session: Session, { messages }: MessagesReturned): void {
  for (const { message, resources, atMs } of messages) {
    if (message?.from === undefined) {
      session.suppressed('messagesReturned', 'without-sender')
      continue
    }
    const room = session.rooms.find(message.from)
    if (room === undefined) {
      session.suppressed('messagesReturned', 'not-joined')
      continue
    }
    const delayedAtMs = message.delayedAtMs ?? (atMs > 0 ? atMs : session.context.clock.now())
    const dropped = session.missed.keep(room.id, { ...message, delayedAtMs }, Math.max(1, resources.length))
    for (let i = 0; i < dropped; i++) session.suppressed('messagesReturned', 'missed-lines-full')
  }
}

/** The room's past for a client that comes in: after its own presence and before the subject (XEP-0045 section 7.2). */
export function tellMissed(session: Session, room: Room, node: string, resource: string): void {
  for (const message of session.missed.take(room.id, resource)) {
    const from = room.address(node, message.from?.resource)
    session.tell({ $case: 'messageReceived', value: { ...message, from } }, [resource])
  }
}
