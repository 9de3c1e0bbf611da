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
  let start = 0
  while (start < line.length) {
    const end = cut(line, start, maxBytes)
    const piece = line.slice(start, end)
    // A remainder of spaces alone would be refused by servers (412).
    if (piece.trim() !== '') pieces.push(piece)
    start = end
  }
}

/**
 * Where a piece that begins at `start` ends: after as many whole characters as fit, or after the last space among them when one
 * is near. At least one character.
 */
function cut(text: string, start: number, maxBytes: number): number {
  if ((text.length - start) * 3 <= maxBytes) return text.length
  let bytes = 0
  let index = start
  let afterSpace = start
  while (index < text.length) {
    const code = text.codePointAt(index) ?? 0
    bytes += code < 0x80 ? 1 : code < 0x800 ? 2 : code < 0x10000 ? 3 : 4
    if (bytes > maxBytes && index > start) return afterSpace > start + (index - start) * 0.7 ? afterSpace : index
    index += code < 0x10000 ? 1 : 2
    if (code === SPACE) afterSpace = index
  }
  return text.length
}

const SPACE = 0x20
