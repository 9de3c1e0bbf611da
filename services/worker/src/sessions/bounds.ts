import type { Command, JoinRoom, Sealed } from '@spectrum/messages'
import { NetworkError } from '@spectrum/network'
import type { Room } from './room.ts'
import type { Session } from './session.ts'

/**
 * How much of one session clients may fill. Each part of it is in the session's snapshot, and a snapshot is one message of the
 * bus, of 1 MiB at most: what must be in it has `essentialBytes` at most, what may be in it `nickBytes`.
 */
export const bounds = {
  /** Of a presence; the rest is cut off, as no network shows more. */
  statusBytes: 1_024,
  /** Signed in, or in one room. */
  resources: 64,
  rooms: 300,
  /** As an address's parts (RFC 7622); it is kept until the join is answered. */
  stanzaIdBytes: 1_023,
  /** Of a room's password as it is sealed. */
  passwordBytes: 1_024,
  essentialBytes: 640 * 1_024,
  /** Of a room's subject as it was told: 300 KiB of all rooms. */
  subjectBytes: 1_024,
  /** Of occupants by name, about two thousand of all rooms: a snapshot is written often. */
  nickBytes: 32 * 1_024,
  /** Of occupants beyond those: 4 bytes each. */
  hashes: 12_288,
} as const

/** The beginning of the text, of so many bytes of UTF-8 at most and without half a character. */
export function cutText(text: string, maxBytes: number): string {
  if (text.length * 3 <= maxBytes) return text
  const bytes = Buffer.from(text)
  if (bytes.length <= maxBytes) return text
  let end = maxBytes
  // 10xxxxxx goes on with a character.
  while (end > 0 && ((bytes[end] ?? 0) & 0xc0) === 0x80) end--
  return bytes.toString('utf8', 0, end)
}

/** @throws NetworkError `rate-limited` (a resource constraint) when the session takes no further resource */
export function assertResourceFits(session: Session): void {
  if (session.resources.size >= bounds.resources) throw tooMuch('You are signed in with too many clients.')
  if (essentialBytes(session) > bounds.essentialBytes) throw tooMuch('Your clients and rooms are too many.')
}

/** @throws NetworkError `too-large`, `not-authorized` for a password that is none, `rate-limited` (a resource constraint) */
export function assertJoinFits(session: Session, command: Command, { password }: JoinRoom, room?: Room): void {
  const { stanzaId, resource } = command
  if (Buffer.byteLength(stanzaId) > bounds.stanzaIdBytes)
    throw new NetworkError('too-large', 'The id of this stanza is too long.')
  if (sealedBytes(password) > bounds.passwordBytes)
    throw new NetworkError('not-authorized', 'That is too long for the password of a room.')
  if (room?.concerns(resource)) return
  if (room === undefined && session.rooms.size >= bounds.rooms) throw tooMuch('You are in too many rooms.')
  if (room !== undefined && concerned(room) >= bounds.resources)
    throw tooMuch('Too many of your clients are in that room.')
  if (essentialBytes(session) > bounds.essentialBytes) throw tooMuch('You are in too many rooms with too many clients.')
}

const tooMuch = (text: string) => new NetworkError('rate-limited', text)

const concerned = ({ views, pending }: Room): number =>
  views.reduce((sum, { resources }) => sum + resources.length, pending.length)

/** What lengths and tags add to a field; numbers take less. */
const fieldBytes = 8

const size = (text: string): number => Buffer.byteLength(text) + fieldBytes

const sealedBytes = (sealed: Sealed | undefined): number =>
  sealed === undefined ? 0 : sealed.ciphertext.length + sealed.nonce.length + 2 * fieldBytes

/** Of the snapshot without the occupants of rooms, or a little more. */
function essentialBytes(session: Session): number {
  let bytes = size(session.username)
  for (const [name, { status }] of session.resources.entries()) bytes += size(name) + size(status) + 3 * fieldBytes
  for (const room of session.rooms) {
    // Once for each spelling of the room's JID.
    const head =
      fieldBytes +
      size(room.name) +
      size(room.shownNick) +
      Math.max(sealedBytes(room.password), sealedBytes(room.asked))
    for (const { node, resources } of room.views) {
      bytes += head + size(node)
      for (const name of resources) bytes += size(name)
    }
    if (room.isKept) bytes += head + size(room.node)
    for (const { node, resource, stanzaId, password } of room.pending)
      bytes += head + sealedBytes(password) + size(node) + size(resource) + size(stanzaId) + fieldBytes
  }
  return bytes
}
