import { isUtf8 } from 'node:buffer'

/** IRCv3 message-tags: 8191 bytes of tags. */
const MAX_TAGS = 8191
/** RFC 1459 says 512; servers with LINELEN go beyond it. Whatever is longer is cut here. */
const MAX_LINE = 16 * 1024
const LF = 0x0a
const CR = 0x0d
const AT = 0x40

const windows1252 = new TextDecoder('windows-1252')

/**
 * Cuts a stream of bytes into lines. Holds at most one line, of bounded length: of a longer one the beginning is passed on,
 * the rest is discarded and counted.
 */
export class LineReader {
  readonly #onLine: (text: string) => void
  readonly #count: (reason: string) => void
  #parts: Buffer[] = []
  #held = 0
  #isDiscarding = false

  constructor(onLine: (text: string) => void, count: (reason: string) => void) {
    this.#onLine = onLine
    this.#count = count
  }

  push(chunk: Buffer): void {
    let start = 0
    for (;;) {
      const end = chunk.indexOf(LF, start)
      if (end < 0) break
      if (this.#held === 0 && !this.#isDiscarding) this.#take(chunk, start, end)
      else this.#finish(chunk.subarray(start, end))
      start = end + 1
    }
    if (start < chunk.length) this.#hold(chunk.subarray(start))
  }

  #finish(rest: Buffer): void {
    this.#hold(rest)
    const line = this.#parts.length === 1 ? (this.#parts[0] ?? rest) : Buffer.concat(this.#parts)
    this.#parts = []
    this.#held = 0
    this.#isDiscarding = false
    this.#take(line, 0, line.length)
  }

  /** Copies, so that a short rest does not keep the socket's whole buffer alive. */
  #hold(part: Buffer): void {
    const room = MAX_TAGS + MAX_LINE + 1 - this.#held
    if (room <= 0) {
      this.#isDiscarding = true
      return
    }
    const kept = Buffer.from(part.length > room ? part.subarray(0, room) : part)
    if (kept.length === 0) return
    this.#parts.push(kept)
    this.#held += kept.length
  }

  #take(bytes: Buffer, from: number, to: number): void {
    while (to > from && bytes[to - 1] === CR) to--
    if (to === from) return
    if (to - from > MAX_LINE) to = this.#cut(bytes, from, to)
    this.#onLine(decodeText(bytes, from, to))
  }

  /** Where to cut a long line, on a character's boundary. */
  #cut(bytes: Buffer, from: number, to: number): number {
    let body = from
    if (bytes[from] === AT) {
      const space = bytes.subarray(from, Math.min(to, from + MAX_TAGS + 1)).indexOf(0x20)
      body = space < 0 ? from : from + space
    }
    if (to - body <= MAX_LINE) return to
    this.#count('line-too-long')
    let end = body + MAX_LINE
    while (end > body && ((bytes[end] ?? 0) & 0xc0) === 0x80) end--
    return end
  }
}

/** UTF-8, and where the bytes are not that, windows-1252, as old clients on western networks send it. */
export function decodeText(bytes: Buffer, from: number, to: number): string {
  const text = bytes.toString('utf8', from, to)
  if (!text.includes('\ufffd')) return text
  const part = bytes.subarray(from, to)
  return isUtf8(part) ? text : windows1252.decode(part)
}
