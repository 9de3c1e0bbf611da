import { type MessageId, NetworkError, type RoomId, type UserId } from '@spectrum/network'
import { asciiLower } from './casemapping.ts'
import { parseTarget } from './targets.ts'

/** Bytes of a name; servers allow less (NICKLEN, CHANNELLEN) and say so themselves. */
const MAX_NAME_BYTES = 200

// Spaces, commas and control characters end or multiply a parameter.
const unfitForChannel = /[\0-\x20\x7f,\ufffe\uffff]|^.$/
// Besides: what begins a channel, a server mask or a prefix, and what separates nick, user and host.
const unfitForNick = /[\0-\x20\x7f,:!@%*?\ufffe\uffff]|^[#&+~$]/

/** How names become ids: with several servers each id carries its own (`#channel@irc.example.org`, `nick@irc.example.org`). */
export class Names {
  readonly hasServers: boolean

  constructor(hasServers: boolean) {
    this.hasServers = hasServers
  }

  parseUser(text: string): UserId {
    const { name, server } = this.split(text)
    if (!isNick(name)) throw new NetworkError('bad-address', 'That cannot be a nick on IRC.')
    return `${asciiLower(name)}${this.#suffix(server)}` as UserId
  }

  parseRoom(text: string): RoomId {
    const { name, server } = this.split(text)
    if (!isChannel(name))
      throw new NetworkError(
        'bad-address',
        'That cannot be the name of an IRC channel: # and a name without spaces and commas.',
      )
    return `${asciiLower(name)}${this.#suffix(server)}` as RoomId
  }

  /** An id's name and server; the server is empty where there is only one. Channels may contain `@`, servers may not. */
  split(id: string): { readonly name: string; readonly server: string } {
    if (!this.hasServers) return { name: id, server: '' }
    const at = id.lastIndexOf('@')
    return at < 0 ? { name: id, server: '' } : { name: id.slice(0, at), server: id.slice(at + 1) }
  }

  #suffix(server: string): string {
    if (!this.hasServers) return ''
    if (server === '')
      throw new NetworkError(
        'bad-address',
        'Name the IRC server too: #channel%irc.example.org or nick%irc.example.org.',
      )
    parseTarget(server)
    // The spelling that a JID can have unescaped, for `host:port` too: ids become JIDs.
    return `@${server.toLowerCase().replace(/:(?=\+?\d+$)/, ',')}`
  }
}

export function isNick(name: string): boolean {
  return name !== '' && !unfitForNick.test(name) && name.isWellFormed() && Buffer.byteLength(name) <= MAX_NAME_BYTES
}

export function isChannel(name: string): boolean {
  return (
    /^[#&+!]/.test(name) &&
    !unfitForChannel.test(name) &&
    name.isWellFormed() &&
    Buffer.byteLength(name) <= MAX_NAME_BYTES
  )
}

/** What {@link parseUsername} takes, as a pattern for those who register before IRC is there to ask. */
export const usernamePattern = String.raw`[^\0-\x20\x7f,:!@%*?#&+~$\d\-][^\0-\x20\x7f,:!@%*?]*`

/** A nick that somebody wants to register with. Throws NetworkError `not-acceptable`. */
export function parseUsername(text: string): string {
  const nick = text.trim().normalize('NFC')
  if (isNick(nick) && !/^[\d-]/.test(nick)) return nick
  throw new NetworkError(
    'not-acceptable',
    'That cannot be a nick on IRC: letters, digits and []\\`_^{|}- without spaces, not beginning with a digit or a hyphen.',
  )
}

export const toUserId = (nick: string, suffix: string): UserId => `${asciiLower(nick)}${suffix}` as UserId
export const toRoomId = (name: string, suffix: string): RoomId => `${asciiLower(name)}${suffix}` as RoomId
export const toMessageId = (id: string): MessageId => id as MessageId
