import type { Config } from '@spectrum/config'
import { NetworkError } from '@spectrum/network'

type Rules = Pick<Config, 'registration' | 'service'>

/** Longer than any network's names; keeps rows and log lines sane. */
const maxUsernameBytes = 255
/** Longer than any network takes: a password that is stored must be one that can be sent. */
const maxPasswordBytes = 1_024
// Would end a line, or a string, in some network's protocol.
const controlCharacters = /[\u0000-\u001f\u007f]/

/** Whether this user may have an account at all. @throws NetworkError `not-allowed` */
export function assertMayRegister(user: string, { registration, service }: Rules): void {
  if (registration.enablePublicRegistration) return
  const bare = user.toLowerCase()
  const domain = bare.slice(bare.lastIndexOf('@') + 1)
  if (service.allowedServers.some(allowed => allowed.toLowerCase() === domain)) return
  if (service.adminJid.some(admin => admin.toLowerCase() === bare)) return
  // The canary: only the gateway itself can speak as its own domain.
  if (bare === service.jid) return
  throw new NetworkError('not-allowed', 'Users of your server may not register with this gateway.')
}

/**
 * The name on the network for what the user typed: put into `registration.username_mask`, then checked.
 * @throws NetworkError `not-acceptable` when it is empty, the user's own JID, or not among the allowed ones
 */
export function toUsername(typed: string, user: string, { registration }: Rules): string {
  if (typed.trim() === '') throw notAcceptable('Please enter a user name.')
  if (isOwnJid(typed, user)) throw notAcceptable('Please enter your name on the other network, not your own address.')
  const { usernameMask, allowedUsernames } = registration
  // A function, because `$&` in the name would mean something in a replacement string.
  const username = usernameMask === '' ? typed : usernameMask.replaceAll('$username', () => typed)
  assertUsername(username)
  if (isOwnJid(username, user)) throw notAcceptable('This user name is your own address.')
  if (allowedUsernames !== '' && !new RegExp(`^(?:${allowedUsernames})$`, 'u').test(username)) {
    throw notAcceptable('This user name is not allowed here.')
  }
  return username
}

/** @throws NetworkError `not-acceptable` for what no network can have as a name */
export function assertUsername(username: string): void {
  if (Buffer.byteLength(username) > maxUsernameBytes) throw notAcceptable('This user name is too long.')
  if (controlCharacters.test(username)) throw notAcceptable('This user name contains control characters.')
}

/** Whether the network can have such a name, by the pattern of its manifest. @throws NetworkError `not-acceptable` */
export function assertFits(username: string, pattern: string | undefined): void {
  if (pattern === undefined || new RegExp(`^(?:${pattern})$`, 'u').test(username)) return
  throw notAcceptable('This network has no such user names.')
}

/** @throws NetworkError `not-acceptable` */
export function assertPassword(password: string): void {
  if (password === '') throw notAcceptable('Please enter a password.')
  if (Buffer.byteLength(password) > maxPasswordBytes) throw notAcceptable('This password is too long.')
  if (controlCharacters.test(password)) throw notAcceptable('This password contains control characters.')
}

const isOwnJid = (name: string, user: string) => name.trim().toLowerCase() === user.toLowerCase()

const notAcceptable = (text: string) => new NetworkError('not-acceptable', text)
