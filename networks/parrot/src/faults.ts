import { type Chat, NetworkError } from '@spectrum/network'
import { parrotSays } from './birds.ts'
import { parseRoom, polly } from './ids.ts'
import { help, type Order } from './orders.ts'
import { parrotNick } from './room.ts'
import { expel } from './rooms.ts'
import type { ParrotSession } from './session.ts'
import type { World } from './world.ts'

/**
 * Ends the process as a bug in a network's code would: by an error that nothing can catch, while the line that led to it
 * is being sent. Never fulfils. Throws `not-allowed` unless `parrot.allow_crash` is set.
 */
export function crash(world: World): Promise<never> {
  if (!world.config.allowCrash) throw new NetworkError('not-allowed', 'parrot.allow_crash does not permit crashes.')
  setTimeout(() => {
    throw new Error('The parrot ended this process on demand.')
  })
  return Promise.withResolvers<never>().promise
}

/** The parrot does as it is told, in the chat where it was told. */
export function obey(order: Order, chat: Chat, session: ParrotSession, world: World): void {
  const say = (text: string) => parrotSays(world, session, chat, text)
  switch (order.order) {
    case 'disconnect':
      return session.drop(new NetworkError(order.code, `The parrot broke the connection on demand: ${order.code}.`))
    case 'slow':
      session.latencyMs = order.ms
      return say(`Messages take ${order.ms} ms from now on.`)
    case 'fail':
      session.failNext = order.code
      return say(`The next message fails: ${order.code}.`)
    case 'kick':
    case 'ban': {
      if (chat.kind !== 'room') return
      const room = world.room(chat.room)
      const member = room.memberOf(session)
      if (member === undefined) return
      if (order.order === 'ban') room.affiliations.set(session.user, 'outcast')
      const kind = order.order === 'ban' ? 'banned' : 'kicked'
      return expel(world, room, member, { kind, actor: parrotNick, ...(order.reason && { reason: order.reason }) })
    }
    case 'say':
      return say(order.text)
    case 'flood':
      for (let line = 1; line <= order.lines; line++) say(`line ${line}`)
      return
    case 'invite':
      return session.emit({ type: 'room-invitation', room: parseRoom(order.room), from: parrotNick })
    case 'swallow':
      world.swallow += order.lines
      return
    // The session carries it out instead of sending the line.
    case 'crash':
      return
    case 'attention':
      return session.emit({ type: 'attention', chat, from: { user: polly }, text: 'Squawk!' })
    case 'help':
      return say(help)
  }
}
