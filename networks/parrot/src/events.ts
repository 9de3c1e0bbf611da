import { type Chat, NetworkError, type NetworkEvent, type Sender } from '@spectrum/network'
import { birds } from './ids.ts'
import type { Inhabitant } from './inhabitant.ts'
import type { Member, Room } from './room.ts'
import type { Said, World } from './world.ts'

/** One who notices what somebody does in a chat: the chat and the doer as that one sees them. */
export interface Witness {
  readonly to: Inhabitant
  readonly chat: Chat
  readonly from: Sender & { readonly nick?: string }
}

/**
 * Everybody who notices what `author` does in `chat`, the author's other devices included. Throws NetworkError when
 * the author cannot act there: nobody of that name, not in that room.
 */
export function witnesses(world: World, author: Inhabitant, chat: Chat): Witness[] {
  if (chat.kind === 'contact') {
    const others = [...world.inhabitantsCalled(chat.user)].filter(to => to !== author)
    if (others.length === 0 && chat.user !== author.user && !birds.has(chat.user))
      throw new NetworkError('gone', `Nobody called ${chat.user} is here now.`)
    const own = [...world.inhabitantsCalled(author.user)].filter(to => to !== author && chat.user !== author.user)
    return [
      ...others
        .filter(to => !to.hasBlocked(author.user))
        .map(to => ({ to, chat: { kind: 'contact', user: author.user } as const, from: { user: author.user } })),
      ...own.map(to => ({ to, chat, from: { self: true } as const })),
    ]
  }
  const room = world.room(chat.room)
  const member = memberIn(room, author)
  const from = { user: author.user, nick: member.nick }
  if (chat.kind === 'occupant') {
    const other = room.memberCalled(chat.nick)
    if (other === undefined) throw new NetworkError('not-found', `Nobody here is called ${chat.nick}.`)
    if (other.inhabitant === undefined) return []
    return [{ to: other.inhabitant, chat: { kind: 'occupant', room: room.id, nick: member.nick }, from }]
  }
  return room.members.flatMap(({ inhabitant }) =>
    inhabitant === undefined || inhabitant === author ? [] : [{ to: inhabitant, chat, from }],
  )
}

/** The author's place in the room, or `not-joined`. */
export function memberIn(room: Room, inhabitant: Inhabitant): Member {
  const member = room.memberOf(inhabitant)
  if (member === undefined) throw new NetworkError('not-joined', 'You are not in this room.')
  return member
}

/** What somebody gets to see on entering a room, in the order that the interface asks for. */
export function* entrance(room: Room, member: Member, viewer: Inhabitant): Iterable<NetworkEvent> {
  yield { type: 'room-joined', room: room.id, nick: member.nick, facts: room.facts }
  for (const other of room.members)
    yield { type: 'occupant', room: room.id, occupant: room.occupant(other, viewer), change: { kind: 'present' } }
  yield { type: 'room-ready', room: room.id }
  if (room.subject !== undefined) yield subjectOf(room, room.subject)
}

export function subjectOf(room: Room, { text, nick, at }: NonNullable<Room['subject']>): NetworkEvent {
  return {
    type: 'room-subject',
    room: room.id,
    subject: text,
    ...(nick === undefined ? {} : { nick }),
    ...(at === undefined ? {} : { at }),
  }
}

/** A remembered message as a witness receives it. */
export function received({ chat, from }: Pick<Witness, 'chat' | 'from'>, said: Said): NetworkEvent {
  return { type: 'message', chat, from, id: said.id, text: said.text, ...said.more }
}
