/** Bytes of base64 in one AUTHENTICATE (IRCv3 sasl-3.1); a part of exactly that length is followed by another. */
const CHUNK = 400

/** What refuses a login: nick locked, failed, too long, aborted. */
export const saslFailures: ReadonlySet<string> = new Set(['902', '904', '905', '906'])

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
