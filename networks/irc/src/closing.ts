import { NetworkError } from '@spectrum/network'
import { plainText } from './formatting.ts'

const refusals =
  /\b([KGZQ][ -]?:?lined?|banned|not welcome|access denied|unauthori[sz]ed connection|not authori[sz]ed)\b/i

/** What the end of a connection means, from the server's last words. */
export function closingError(words: string, cause?: unknown): NetworkError {
  return new NetworkError(refusals.test(words) ? 'not-allowed' : 'unreachable', words, { cause })
}

/** A user's words as one line of bounded length, for reasons of QUIT, PART and KICK. */
export function closingWords(text: string): string {
  return plainText(text.replace(/[\r\n]+/g, ' '))
    .slice(0, 300)
    .toWellFormed()
}
