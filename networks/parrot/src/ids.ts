import { type FailureCode, type MessageId, NetworkError, type RoomId, type UserId } from '@spectrum/network'

const longestBytes = 64

/** Names of people and rooms are the same in any case; inside this module alone ids are looked into. */
export const parseUser = (name: string): UserId => wellFormed(name, 'bad-address').toLowerCase() as UserId
export const parseRoom = (name: string): RoomId => wellFormed(name, 'bad-address').toLowerCase() as RoomId
export const parseUsername = (name: string): string => wellFormed(name, 'not-acceptable').toLowerCase()

/** What somebody is called in a room; unlike a name it keeps its case and may have spaces inside. */
export function parseNick(nick: string): string {
  const trimmed = nick.trim()
  wellFormed(trimmed.replaceAll(' ', '_'), 'not-acceptable')
  return trimmed
}

export const messageId = (text: string): MessageId => text as MessageId

/** The birds that live here, for everybody. */
export const polly = 'polly' as UserId
export const sleepy = 'sleepy' as UserId
export const birds: ReadonlySet<UserId> = new Set([polly, sleepy])

function wellFormed(name: string, code: FailureCode): string {
  if (name === '') throw new NetworkError(code, 'Parrots have names of at least one character.')
  if (Buffer.byteLength(name) > longestBytes)
    throw new NetworkError(code, `Parrots remember names of up to ${longestBytes} bytes.`)
  // Controls, unassigned code points, lone surrogates, and everything that looks like a space.
  if (/[\p{C}\p{Z}]/u.test(name)) throw new NetworkError(code, 'Parrots cannot pronounce spaces or control characters.')
  return name
}
