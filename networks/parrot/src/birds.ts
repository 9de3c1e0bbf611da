import type { Chat } from '@spectrum/network'
import { received } from './events.ts'
import { polly, sleepy } from './ids.ts'
import type { Inhabitant } from './inhabitant.ts'
import { parrotNick } from './room.ts'
import type { World } from './world.ts'

/** True when a parrot is listening there and repeats what it hears. Sleepy hears nothing. */
export function hasListener(chat: Chat): boolean {
  if (chat.kind === 'contact') return chat.user === polly
  return chat.kind === 'room' || chat.nick === parrotNick
}

/** True when the message arrives at somebody: sleepy's never do, so their receipts never come. */
export function isDelivered(chat: Chat): boolean {
  return chat.kind !== 'contact' || chat.user !== sleepy
}

/** A parrot says something to `listener`, in the chat where it was spoken to; in a room all hear it. */
export function parrotSays(world: World, listener: Inhabitant, chat: Chat, text: string): void {
  const user = chat.kind === 'contact' ? chat.user : polly
  const heard: Chat = chat.kind === 'contact' ? { kind: 'contact', user: listener.user } : chat
  const said = world.remember({ author: user, chat: heard, text, nick: parrotNick })
  if (chat.kind === 'room') {
    const from = { user, nick: parrotNick }
    world.room(chat.room).tell(() => received({ chat, from }, said))
    return
  }
  const from = chat.kind === 'occupant' ? { user, nick: chat.nick } : { user }
  const devices = chat.kind === 'contact' ? [...world.inhabitantsCalled(listener.user)] : [listener]
  for (const device of devices) device.emit(received({ chat, from }, said))
}
