/** Bytes of base64 in one AUTHENTICATE (IRCv3 sasl-3.1); a part of exactly that length is followed by another. */
const CHUNK = 400

/** What ends a login: nick locked, failed, too long, aborted. */
export const saslFailures: ReadonlySet<string> = new Set(['902', '904', '905', '906'])

/** Words of servers whose services are away; the password may be right. */
const outages =
  /unavailable|not available|timed? ?out|try (again )?later|temporar|services? (is |are )?(down|offline|away)/i

/**
 * What a failed login means: `wrong-credentials` when the server has seen them and says that they are wrong, else
 * `unavailable`, which is tried again. `wasSent`: the password was.
 */
export function saslFailure(numeric: string, words: string, wasSent: boolean): 'wrong-credentials' | 'unavailable' {
  const isVerdict = wasSent && numeric !== '906' && !outages.test(words)
  return isVerdict ? 'wrong-credentials' : 'unavailable'
}

/** Whether a word of CAP LS offers SASL with PLAIN. Servers that list no mechanisms (3.1) are asked. */
export function offersPlain(word: string): boolean {
  return word === 'sasl' || (word.startsWith('sasl=') && word.slice('sasl='.length).split(',').includes('PLAIN'))
}

/** The parameters of the AUTHENTICATE lines that log in with PLAIN (RFC 4616). They hold the password: never log them. */
export function plainLines(account: string, password: string): readonly string[] {
  const text = Buffer.from(`${account}\0${account}\0${password}`).toString('base64')
  const parts: string[] = []
  for (let at = 0; at < text.length; at += CHUNK) parts.push(text.slice(at, at + CHUNK))
  if (text.length % CHUNK === 0) parts.push('+')
  return parts
}
