import { type Chat, type ChatFeatures, NetworkError, type Page, type ReceivedMessage } from '@spectrum/network'
import { memberIn } from './events.ts'
import type { Inhabitant } from './inhabitant.ts'
import type { Said, World } from './world.ts'

type Query = Parameters<NonNullable<ChatFeatures['history']>['fetch']>[1]

/** A page of what was said in a chat: the newest `max` that the query leaves, oldest first. */
export function pageOf(world: World, reader: Inhabitant, chat: Chat, { before, after, since, max }: Query): Page {
  if (chat.kind === 'occupant') throw new NetworkError('not-supported', 'Whispers are not written down.')
  if (chat.kind === 'room') memberIn(world.room(chat.room), reader)
  const all = [...world.said()].filter(said => isPartOf(said, chat, reader))
  const end = before === undefined ? all.length : all.findIndex(({ id }) => id === before)
  const start = after === undefined ? 0 : all.findIndex(({ id }) => id === after) + 1
  const wanted = all.slice(start, Math.max(end, 0)).filter(({ at }) => since === undefined || at >= since)
  const page = wanted.slice(-max)
  const oldest = page[0]
  return {
    messages: page.map(said => asReceived(said, chat, reader)),
    ...(wanted.length > page.length && oldest !== undefined ? { before: oldest.id } : {}),
  }
}

function isPartOf(said: Said, chat: Chat, reader: Inhabitant): boolean {
  if (chat.kind === 'room') return said.chat.kind === 'room' && said.chat.room === chat.room
  if (chat.kind !== 'contact' || said.chat.kind !== 'contact') return false
  return (
    (said.author === reader.user && said.chat.user === chat.user) ||
    (said.author === chat.user && said.chat.user === reader.user)
  )
}

function asReceived({ id, author, nick, text, at, more }: Said, chat: Chat, reader: Inhabitant): ReceivedMessage {
  const from = author === reader.user && chat.kind === 'contact' ? { self: true as const } : { user: author }
  const named = chat.kind === 'room' && nick !== undefined ? { ...from, nick } : from
  return { type: 'message', chat, from: named, id, at, text, ...more }
}
