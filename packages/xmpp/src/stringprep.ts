/**
 * The stringprep profiles that XMPP addresses are prepared with: Nameprep (RFC 3491), Nodeprep and Resourceprep (RFC 6122
 * appendices A and B). Unassigned code points pass, as RFC 3454 section 7 has it for queries: the XMPP server has the last word
 * on what it stores, and new emoji appear every year.
 *
 * Every function returns `undefined` for a text that the profile prohibits.
 */

// Table B.1: commonly mapped to nothing.
const mappedToNothing = /[\u00AD\u034F\u1806\u180B-\u180D\u200B-\u200D\u2060\uFE00-\uFE0F\uFEFF]/gu

// Tables C.1.2, C.2.1, C.2.2, C.3 to C.9.
const prohibited =
  /[\u0000-\u001F\u007F-\u00A0\u06DD\u070F\u1680\u180E\u2000-\u200F\u2028-\u202F\u205F-\u2063\u206A-\u206F\u3000\uD800-\uF8FF\uFEFF\uFFF0-\uFFFF\u0340\u0341\u2FF0-\u2FFB\u{1D173}-\u{1D17A}\u{E0001}\u{E0020}-\u{E007F}\u{F0000}-\u{10FFFF}]|[\u{1FFFE}\u{1FFFF}\u{2FFFE}\u{2FFFF}\u{3FFFE}\u{3FFFF}\u{4FFFE}\u{4FFFF}\u{5FFFE}\u{5FFFF}\u{6FFFE}\u{6FFFF}\u{7FFFE}\u{7FFFF}\u{8FFFE}\u{8FFFF}\u{9FFFE}\u{9FFFF}\u{AFFFE}\u{AFFFF}\u{BFFFE}\u{BFFFF}\u{CFFFE}\u{CFFFF}\u{DFFFE}\u{DFFFF}\u{EFFFE}\u{EFFFF}\uFDD0-\uFDEF]/u

// Table D.1: characters with bidirectional property R or AL.
const rightToLeft =
  /[\u05BE\u05C0\u05C3\u05D0-\u05EA\u05F0-\u05F4\u061B\u061F\u0621-\u063A\u0640-\u064A\u066D-\u066F\u0671-\u06D5\u06DD\u06E5\u06E6\u06FA-\u06FE\u0700-\u070D\u0710\u0712-\u072C\u0780-\u07A5\u07B1\u200F\uFB1D\uFB1F-\uFB28\uFB2A-\uFB36\uFB38-\uFB3C\uFB3E\uFB40\uFB41\uFB43\uFB44\uFB46-\uFBB1\uFBD3-\uFD3D\uFD50-\uFD8F\uFD92-\uFDC7\uFDF0-\uFDFC\uFE70-\uFE74\uFE76-\uFEFC]/u
const letter = /\p{L}/u

// What Nodeprep prohibits beside: RFC 6122 appendix A.5.
const prohibitedInNode = /[ "&'/:<>@]/

/** Table B.2: case folding for use with NFKC. */
function fold(text: string): string {
  let folded = ''
  for (const char of text) folded += foldChar(char)
  return folded
}

// Upper then lower is full case folding (ß → ss, final ς → σ), one character at a time so that no rule of position applies.
// The dotless i is the exception: B.2 leaves it alone.
const foldChar = (char: string): string => (char === '\u0131' ? char : char.toUpperCase().toLowerCase())

/** RFC 3454 section 6. */
function isBidirectionallySound(text: string): boolean {
  if (!rightToLeft.test(text)) return true
  const chars = [...text]
  if (!rightToLeft.test(chars[0] ?? '') || !rightToLeft.test(chars.at(-1) ?? '')) return false
  return chars.every(char => rightToLeft.test(char) || !letter.test(char))
}

function prepare(text: string, folds: boolean): string | undefined {
  if (!text.isWellFormed()) return undefined
  const mapped = text.replace(mappedToNothing, '')
  const normal = folds ? fold(fold(mapped).normalize('NFKC')).normalize('NFKC') : mapped.normalize('NFKC')
  return prohibited.test(normal) || !isBidirectionallySound(normal) ? undefined : normal
}

const plainNode = /^[a-z0-9!#$%()*+,\-.;=?[\\\]^_`{|}~]*$/
const plainResource = /^[\x20-\x7E]*$/
const plainName = /^[a-z0-9.\-_]*$/

/** Prepares a local part. */
export function nodeprep(text: string): string | undefined {
  if (plainNode.test(text)) return text
  const prepared = prepare(text, true)
  return prepared === undefined || prohibitedInNode.test(prepared) ? undefined : prepared
}

/** Prepares a resource. Case is kept. */
export function resourceprep(text: string): string | undefined {
  return plainResource.test(text) ? text : prepare(text, false)
}

/** Prepares a domain name, as Unicode; whether it can exist in DNS is not asked. */
export function nameprep(text: string): string | undefined {
  return plainName.test(text) ? text : prepare(text, true)
}
