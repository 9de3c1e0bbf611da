const blank = /^\s*/
const opening = /^<\??([A-Za-z:_-]+)/

/**
 * Cuts an XMPP stream into the texts of its stanzas without understanding them: a server's output is trusted to be well
 * formed, to escape `>` in attributes, and not to nest an element in one of its own name. That is all that a load
 * generator can afford.
 */
export class StanzaSplitter {
  readonly #onStanza: (text: string) => void
  #rest = ''

  /** @param onStanza - called with each whole stanza; the stream's own header and XML declaration count as one each */
  constructor(onStanza: (text: string) => void) {
    this.#onStanza = onStanza
  }

  /** A new stream begins on the same connection. */
  reset(): void {
    this.#rest = ''
  }

  write(chunk: string): void {
    const text = this.#rest + chunk
    let at = 0
    for (;;) {
      if (at < text.length && text.charCodeAt(at) !== 0x3c) at += (blank.exec(text.slice(at))?.[0] ?? '').length
      const end = endOf(text, at)
      if (end < 0) break
      const stanza = text.slice(at, end)
      at = end
      this.#onStanza(stanza)
    }
    this.#rest = text.slice(at)
  }
}

/** Where the element that begins at `at` ends; -1 when not all of it is there. */
function endOf(text: string, at: number): number {
  const tagEnd = text.indexOf('>', at)
  if (tagEnd < 0) return -1
  const name = opening.exec(text.slice(at, at + 40))?.[1]
  const isWhole =
    name === undefined || name === 'stream:stream' || name === 'xml' || text.charCodeAt(tagEnd - 1) === 0x2f
  if (isWhole) return tagEnd + 1
  const close = `</${name}>`
  const from = text.indexOf(close, tagEnd + 1)
  return from < 0 ? -1 : from + close.length
}

/** An attribute of the stanza's own tag; undefined when it has none. */
export function attribute(stanza: string, name: string): string | undefined {
  const tag = stanza.slice(0, stanza.indexOf('>') + 1)
  const from = new RegExp(`\\s${name}=(["'])`).exec(tag)
  if (from === null) return undefined
  const begin = from.index + from[0].length
  return tag.slice(begin, tag.indexOf(from[1] as string, begin))
}
