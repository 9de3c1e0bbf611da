import type { Case } from '../stage.ts'
import { contacts } from './contacts.ts'
import { extras } from './extras.ts'
import { hostileInput } from './hostile-input.ts'
import { messages } from './messages.ts'
import { people } from './people.ts'
import { reconnecting } from './reconnecting.ts'
import { roomKeeping } from './room-keeping.ts'
import { roomRanks } from './room-ranks.ts'
import { rooms } from './rooms.ts'
import { signingIn } from './signing-in.ts'

const inRooms = [...rooms, ...roomRanks, ...roomKeeping].map(
  (each): Case => ({
    ...each,
    needs: offer => offer.chats.room !== undefined && (each.needs?.(offer) ?? true),
  }),
)

/** All cases, in the order in which they are played. */
export const cases: readonly Case[] = [
  ...signingIn,
  ...messages,
  ...inRooms,
  ...contacts,
  ...people,
  ...extras,
  ...hostileInput,
  ...reconnecting,
]
