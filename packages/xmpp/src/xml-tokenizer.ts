import { dropIllegal } from './xml.ts'

/** What the stream consists of, in order. */
export interface TokenListener {
  onStart(name: string, attributes: Record<string, string>): void
  onEnd(name: string): void
  /** Part of the text between two tags: long texts come in several parts. */
  onText(text: string): void
}

/** What came is not XML, or XML that XMPP does not have. */
export class XmlSyntaxError extends Error {
  override name = 'XmlSyntaxError'
}

// Character codes, since this is the inner loop of everything that arrives.
const lessThan = 60
const slash = 47
const exclamation = 33
const question = 63
const greaterThan = 62
const doubleQuote = 34
const singleQuote = 39

const attribute = /\s+([^\s=/>"'<&]+)\s*=\s*(?:"([^"<]*)"|'([^'<]*)')/y
const tagName = /[^\s=/>"'<&]+/y
const cdataStart = '<![CDATA['

/**
 * Cuts the text of an XML stream into tags and text, in time that is linear in its length however it is cut into chunks. Comments,
 * processing instructions and document types have no place in XMPP (RFC 6120 section 11.1); one XML declaration may come first.
 * Namespaces and the nesting of elements are the listener's business.
 */
export class XmlTokenizer {
  readonly #listener: TokenListener
  /** What has arrived and makes no token yet; begins at one. */
  #rest = ''
  /** How far the rest was looked at, and the quote that was open there. */
  #seen = 0
  #quote = 0
  #hasBegun = false

  constructor(listener: TokenListener) {
    this.#listener = listener
  }

  /** Characters that wait for the end of their token. */
  get pending(): number {
    return this.#rest.length
  }

  /** @throws XmlSyntaxError, after which nothing more can be read */
  write(data: string): void {
    const text = this.#rest === '' ? data : this.#rest + data
    let position = 0
    while (position < text.length) {
      const next = text.charCodeAt(position) === lessThan ? this.#markup(text, position) : this.#text(text, position)
      if (next === -1) break
      position = next
      this.#seen = this.#quote = 0
    }
    this.#rest = position === 0 ? text : text.slice(position)
  }

  /** Returns where it ends, or −1 while that is unknown. */
  #text(text: string, start: number): number {
    const found = text.indexOf('<', start)
    let end = found === -1 ? text.length : found
    if (found === -1) {
      // A reference may be cut in two; the longest is `&#x10FFFF;`.
      const ampersand = text.lastIndexOf('&')
      if (ampersand >= start && text.length - ampersand < 12 && !text.includes(';', ampersand)) end = ampersand
      if (end === start) return -1
    }
    this.#listener.onText(unescape(text.slice(start, end)))
    return end
  }

  #markup(text: string, start: number): number {
    const second = text.charCodeAt(start + 1)
    if (second === exclamation) return this.#cdata(text, start)
    if (second === question) return this.#declaration(text, start)
    const end = this.#tagEnd(text, start)
    if (end === -1) return -1
    this.#hasBegun = true
    if (second === slash) this.#listener.onEnd(text.slice(start + 2, end).trimEnd())
    else this.#startTag(text, start + 1, end)
    return end + 1
  }

  /** The place of the `>` that ends the tag; one in a quoted value does not. */
  #tagEnd(text: string, start: number): number {
    let position = start + Math.max(1, this.#seen)
    for (;;) {
      if (this.#quote !== 0) {
        const closing = text.indexOf(this.#quote === doubleQuote ? '"' : "'", position)
        if (closing === -1) break
        this.#quote = 0
        position = closing + 1
      }
      if (position >= text.length) break
      const code = text.charCodeAt(position)
      if (code === greaterThan) return position
      if (code === lessThan) throw new XmlSyntaxError('a tag within a tag')
      if (code === doubleQuote || code === singleQuote) this.#quote = code
      position++
    }
    this.#seen = text.length - start
    return -1
  }

  #startTag(text: string, start: number, end: number): void {
    tagName.lastIndex = start
    const name = tagName.exec(text)?.[0]
    if (name === undefined || start + name.length > end) throw new XmlSyntaxError('a tag without a name')
    const attributes: Record<string, string> = {}
    let position = start + name.length
    for (;;) {
      attribute.lastIndex = position
      const match = attribute.exec(text)
      if (match === null || attribute.lastIndex > end) break
      const key = match[1] as string
      if (Object.hasOwn(attributes, key)) throw new XmlSyntaxError('an attribute that occurs twice')
      attributes[key] = unescape((match[2] ?? match[3]) as string)
      position = attribute.lastIndex
    }
    const tail = text.slice(position, end).trim()
    if (tail !== '' && tail !== '/') throw new XmlSyntaxError('a tag that cannot be read')
    this.#listener.onStart(name, attributes)
    if (tail === '/') this.#listener.onEnd(name)
  }

  #cdata(text: string, start: number): number {
    const opening = text.slice(start, start + cdataStart.length)
    if (!cdataStart.startsWith(opening)) throw new XmlSyntaxError('a comment or document type')
    if (opening.length < cdataStart.length) return -1
    const end = text.indexOf(']]>', start + Math.max(cdataStart.length, this.#seen - 2))
    if (end === -1) {
      this.#seen = text.length - start
      return -1
    }
    this.#listener.onText(dropIllegal(text.slice(start + cdataStart.length, end)))
    return end + 3
  }

  #declaration(text: string, start: number): number {
    if (this.#hasBegun) throw new XmlSyntaxError('a processing instruction')
    const end = text.indexOf('?>', start)
    if (end === -1) return -1
    if (!/^<\?xml\s/.test(text.slice(start, end))) throw new XmlSyntaxError('a processing instruction')
    this.#hasBegun = true
    return end + 2
  }
}

const reference = /&([^;&]*);?/g
const named: Readonly<Record<string, string>> = { amp: '&', lt: '<', gt: '>', quot: '"', apos: "'" }

function unescape(text: string): string {
  return dropIllegal(text.includes('&') ? text.replace(reference, resolve) : text)
}

function resolve(whole: string, name: string): string {
  const known = whole.endsWith(';') ? named[name] : undefined
  if (known !== undefined) return known
  const digits = /^#(?:x([0-9a-fA-F]{1,6})|([0-9]{1,7}))$/.exec(name)
  const code = digits === null ? 0 : Number.parseInt(digits[1] ?? digits[2] ?? '', digits[1] === undefined ? 10 : 16)
  if (!whole.endsWith(';') || !isXmlCharacter(code)) throw new XmlSyntaxError('a reference to what XML does not have')
  return String.fromCodePoint(code)
}

/** XML 1.0 section 2.2. */
function isXmlCharacter(code: number): boolean {
  if (code < 0x20) return code === 0x9 || code === 0xa || code === 0xd
  return code <= 0xd7ff || (code >= 0xe000 && code <= 0xfffd) || (code >= 0x10000 && code <= 0x10ffff)
}
