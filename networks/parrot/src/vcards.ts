import type { Chat, VCard } from '@spectrum/network'
import { polly, sleepy } from './ids.ts'
import type { World } from './world.ts'

// One transparent pixel, the smallest valid PNG there is.
const pixel = Buffer.from(
  'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNkYPhfDwAChwGA60e6kgAAAABJRU5ErkJggg==',
  'base64',
)

const birdCards: ReadonlyMap<string, VCard> = new Map([
  [polly, { fullName: 'Polly Parrot', nickname: 'Polly', photo: { mimeType: 'image/png', bytes: pixel } }],
  [sleepy, { fullName: 'Sleepy Parrot', nickname: 'Sleepy', description: 'Dreams of crackers.' }],
])

/** The card of a bird, or what a person who is here published; `undefined` when there is none. */
export function vcardOf(world: World, who: Chat): VCard | undefined {
  const user =
    who.kind === 'contact'
      ? who.user
      : who.kind === 'occupant'
        ? world.room(who.room).memberCalled(who.nick)?.user
        : undefined
  if (user === undefined) return undefined
  return birdCards.get(user) ?? world.vcards.get(user)
}
