import { type Command, CommandBatch } from './gen/spectrum/v1/commands.ts'
import { type Event, EventBatch } from './gen/spectrum/v1/events.ts'

/** How the items of a lane become the payload of one batch, and whose each item is. */
export interface LaneCodec<Item> {
  encode(items: readonly Item[]): Uint8Array
  /** Throws on bytes that are no batch. */
  decode(payload: Uint8Array): Item[]
  /** The bare JID whose order the item is part of. */
  userOf(item: Item): string
  /** Roughly the encoded size in bytes; cheap, for batch limits. */
  sizeOf(item: Item): number
}

const overheadBytes = 96

export const commandCodec: LaneCodec<Command> = {
  encode: items => CommandBatch.encode({ commands: items as Command[] }).finish(),
  decode: payload => CommandBatch.decode(payload).commands,
  userOf: command => command.user,
  sizeOf: ({ command, user }) => overheadBytes + 2 * user.length + commandTextLength(command),
}

export const eventCodec: LaneCodec<Event> = {
  encode: items => EventBatch.encode({ events: items as Event[] }).finish(),
  decode: payload => EventBatch.decode(payload).events,
  userOf: event => event.user,
  sizeOf: ({ event, user, resources }) =>
    overheadBytes + 2 * user.length + 24 * resources.length + eventTextLength(event),
}

// UTF-16 units times three bound UTF-8 bytes; exactness does not matter, a wrong order of magnitude would.
function commandTextLength(command: Command['command']): number {
  switch (command?.$case) {
    case 'sendMessage':
      return 3 * (command.value.body.length + command.value.xhtml.length)
    case 'setSubject':
      return 3 * command.value.subject.length
    case 'setPresence':
    case 'joinRoom':
    case 'leaveRoom':
      return 3 * command.value.status.length
    default:
      return 0
  }
}

function eventTextLength(event: Event['event']): number {
  switch (event?.$case) {
    case 'messageReceived':
      return 3 * (event.value.body.length + event.value.xhtml.length)
    case 'subjectChanged':
      return 3 * event.value.subject.length
    case 'occupantPresence':
      return 64 + 3 * event.value.status.length
    case 'contactPresence':
    case 'gatewayPresence':
      return 3 * event.value.status.length
    default:
      return 0
  }
}
