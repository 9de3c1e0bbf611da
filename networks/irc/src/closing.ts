import { NetworkError } from '@spectrum/network'
import { plainText } from './formatting.ts'

const refusals =
  /\b([KGZQ][ -]?:?lined?|banned|not welcome|access denied|unauthori[sz]ed connection|not authori[sz]ed)\b/i

const throttles =
  /\b(too (quick|fast)(ly)?|throttl(e|ed|ing)|too many (host|user|client|local|global|unknown)?\s*(connections|clients|sessions)|reconnect(ing)? too|(try|connect) again later)\b/i

/**
 * What the end of a connection means, from the server's last words. `hadPassword`: the user's password was sent and no
 * welcome came; some servers then say no more than that access is denied.
 */
export function closingError(words: string, hadPassword: boolean, cause?: unknown): NetworkError {
  if (/\bpassword\b/i.test(words) || (hadPassword && /access denied|unauthori[sz]ed/i.test(words))) {
    return new NetworkError('wrong-credentials', words, { cause })
  }
  if (throttles.test(words)) return new NetworkError('rate-limited', words, { cause })
  return new NetworkError(refusals.test(words) ? 'not-allowed' : 'unreachable', words, { cause })
}

/** A user's words as one line of bounded length, for reasons of QUIT, PART and KICK. */
export function closingWords(text: string): string {
  return cutBytes(plainText(text.replace(/[\r\n]+/g, ' ')), 300)
}

/** The beginning of a text that fits into so many bytes of UTF-8. */
export function cutBytes(text: string, maxBytes: number): string {
  const bytes = Buffer.from(text)
  if (bytes.length <= maxBytes) return text.toWellFormed()
  let end = maxBytes
  while (end > 0 && ((bytes[end] ?? 0) & 0xc0) === 0x80) end--
  return bytes.toString('utf8', 0, end)
}
