/**
 * Cuts what a user says into lines that IRC can carry: at line breaks, and where a line is longer than `maxBytes` of UTF-8, at
 * a space near the end or else at a character's boundary. Blank lines vanish, since IRC cannot say nothing.
 * Pieces of one line, put together, are that line.
 */
export function splitText(text: string, maxBytes: number): readonly string[] {
  if (text.length * 3 <= maxBytes && !breaks.test(text)) return text.trim() === '' ? [] : [text]
  const pieces: string[] = []
  for (const line of text.split(/\r\n|[\r\n\u2028\u2029]/)) {
    const clean = line.replace(unsayable, '').toWellFormed()
    if (clean.trim() !== '') splitLine(clean, maxBytes, pieces)
  }
  return pieces
}

const unsayable = /[\0\x01]/g
const breaks = /[\0\x01\r\n\u2028\u2029\ud800-\udfff]/

function splitLine(line: string, maxBytes: number, pieces: string[]): void {
  let rest = line
  while (rest.length * 3 > maxBytes && Buffer.byteLength(rest) > maxBytes) {
    const end = cut(rest, maxBytes)
    pieces.push(rest.slice(0, end))
    rest = rest.slice(end)
  }
  // A remainder of spaces alone would be refused by servers (412).
  if (rest.trim() !== '') pieces.push(rest)
}

/** The index after as many whole characters as fit; after the last space when one is near. At least one character. */
function cut(text: string, maxBytes: number): number {
  let bytes = 0
  let index = 0
  let afterSpace = 0
  for (const char of text) {
    const code = char.codePointAt(0) ?? 0
    bytes += code < 0x80 ? 1 : code < 0x800 ? 2 : code < 0x10000 ? 3 : 4
    if (bytes > maxBytes) break
    index += char.length
    if (char === ' ') afterSpace = index
  }
  if (index === 0) return text.codePointAt(0) === undefined ? 1 : String.fromCodePoint(text.codePointAt(0) ?? 0).length
  return afterSpace > index * 0.7 ? afterSpace : index
}
