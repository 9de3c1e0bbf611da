import { isIPv6 } from 'node:net'
import { nameprep, nodeprep, resourceprep } from './stringprep.ts'

/** An address (RFC 6122), prepared: two that are equal in XMPP are equal as text. Absent parts are empty. */
export interface Jid {
  readonly local: string
  readonly domain: string
  readonly resource: string
}

/** Largest size of each part, in bytes of UTF-8 (RFC 6122 section 2.1). */
export const maxJidPartBytes = 1023

/** Longest text that is read as an address: three parts and what separates them. */
export const maxJidLength = 3 * maxJidPartBytes + 2

/** Reads an address; `undefined` when it is none, that is, when stringprep prohibits a part or a part has no legal length. */
export function parseJid(text: string): Jid | undefined {
  // Stringprep drops some characters, so that a text of any length could come out as an address, and be copied into answers.
  if (text.length > maxJidLength) return undefined
  const slash = text.indexOf('/')
  const bare = slash === -1 ? text : text.slice(0, slash)
  const at = bare.indexOf('@')
  const local = at === -1 ? '' : prepareLocal(bare.slice(0, at))
  const domain = prepareDomain(at === -1 ? bare : bare.slice(at + 1))
  const resource = slash === -1 ? '' : prepareResource(text.slice(slash + 1))
  // A separator promises a part: `@domain` and `domain/` are no addresses.
  if (local === undefined || domain === undefined || resource === undefined) return undefined
  return { local, domain, resource }
}

/** A prepared local part, `undefined` when the text cannot be one. */
export function prepareLocal(text: string): string | undefined {
  return fits(nodeprep(text))
}

/** A prepared resource (in a room: a nick), `undefined` when the text cannot be one. */
export function prepareResource(text: string): string | undefined {
  return fits(resourceprep(text))
}

/** A prepared domain or IP address, `undefined` when the text cannot be one. A final dot is dropped (RFC 6122 section 2.2). */
export function prepareDomain(text: string): string | undefined {
  if (text.startsWith('[')) return text.endsWith(']') && isIPv6(text.slice(1, -1)) ? text.toLowerCase() : undefined
  const prepared = fits(nameprep(text.endsWith('.') ? text.slice(0, -1) : text))
  if (prepared === undefined || asciiThatNoDomainHas.test(prepared)) return undefined
  return emptyLabel.test(prepared) ? undefined : prepared
}

const asciiThatNoDomainHas = /[\0- !-,/:-@[-^`{-\x7F]/
const emptyLabel = /^\.|\.\.|\.$/

function fits(part: string | undefined): string | undefined {
  if (part === undefined || part === '') return undefined
  // Three bytes are the most that one UTF-16 unit takes, so that short texts need no counting.
  if (part.length * 3 > maxJidPartBytes && Buffer.byteLength(part) > maxJidPartBytes) return undefined
  return part
}

/** The address as text. */
export function formatJid({ local, domain, resource }: Jid): string {
  const bare = local === '' ? domain : `${local}@${domain}`
  return resource === '' ? bare : `${bare}/${resource}`
}

/** The address without its resource, as text. */
export function bareJid({ local, domain }: Jid): string {
  return local === '' ? domain : `${local}@${domain}`
}
