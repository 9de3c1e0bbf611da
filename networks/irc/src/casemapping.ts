/** How a server compares nicks and channel names (ISUPPORT CASEMAPPING). */
export type Casemapping = 'ascii' | 'rfc1459' | 'strict-rfc1459' | 'unicode'

/** What a server's word means; servers with Unicode names use words of their own. */
export function parseCasemapping(word: string): Casemapping {
  const lower = word.toLowerCase()
  if (lower === 'ascii' || lower === 'rfc1459') return lower
  if (lower === 'strict-rfc1459' || lower === 'rfc1459-strict') return 'strict-rfc1459'
  return 'unicode'
}

const isAscii = /^[\0-\x7f]*$/

/** Lower case of A–Z only: how ids are spelled, whatever the server's casemapping says. */
export function asciiLower(name: string): string {
  return isAscii.test(name) ? name.toLowerCase() : name.replace(/[A-Z]+/g, part => part.toLowerCase())
}

const folded: Record<string, string> = { '[': '{', ']': '}', '\\': '|', '~': '^' }

/** The spelling under which two names are equal exactly when the server takes them for the same. */
export function fold(mapping: Casemapping, name: string): string {
  if (mapping === 'unicode') return name.toLowerCase()
  const lower = asciiLower(name)
  if (mapping === 'rfc1459')
    return /[[\]\\~]/.test(lower) ? lower.replace(/[[\]\\~]/g, char => folded[char] ?? char) : lower
  if (mapping === 'strict-rfc1459')
    return /[[\]\\]/.test(lower) ? lower.replace(/[[\]\\]/g, char => folded[char] ?? char) : lower
  return lower
}
