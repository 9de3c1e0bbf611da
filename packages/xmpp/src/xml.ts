/**
 * Strict output. XMPP is XML 1.0, and a server that reads one character which XML does not have closes the whole component
 * stream: all text that leaves goes through here.
 */

// All that needs work: markup, and what XML 1.0 section 2.2 does not allow. Surrogates are looked at by toWellFormed.
const needsWork = /[&<>"'\u0000-\u0008\u000B-\u001F\uD800-\uDFFF\uFFFE\uFFFF]/
const noXml = /[\u0000-\u0008\u000B\u000C\u000E-\u001F\uFFFE\uFFFF]/g
const loneSurrogate = /[\uD800-\uDFFF]/gu
const textMarkup = /[&<>\r]/g
const attributeMarkup = /[&<>"'\r\n\t]/g

const entities: Record<string, string> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&apos;',
  '\r': '&#13;',
  '\n': '&#10;',
  '\t': '&#9;',
}
const toEntity = (char: string): string => entities[char] ?? ''

/** The text without the characters that XML 1.0 does not have (most controls, lone surrogates, U+FFFE, U+FFFF). */
export function dropIllegal(text: string): string {
  if (!needsWork.test(text)) return text
  return (text.isWellFormed() ? text : text.replace(loneSurrogate, '')).replace(noXml, '')
}

/** The text as character data of an element; illegal characters are dropped. */
export function escapeText(text: string): string {
  return needsWork.test(text) ? dropIllegal(text).replace(textMarkup, toEntity) : text
}

/** The text as the value of an attribute in double quotes; illegal characters are dropped. */
export function escapeAttribute(text: string): string {
  return needsWorkInAttribute.test(text) ? dropIllegal(text).replace(attributeMarkup, toEntity) : text
}
const needsWorkInAttribute = /[&<>"'\u0000-\u001F\uD800-\uDFFF\uFFFE\uFFFF]/

/**
 * Cuts a text into parts whose escaped form takes at most `maxBytes` each, between lines or words where one is near, never
 * within a character. The parts together are the text.
 */
export function splitText(text: string, maxBytes: number): string[] {
  // Six bytes are the most that one unit takes when escaped (`&quot;`), so most texts need no counting.
  if (text.length * 6 <= maxBytes) return [text]
  const parts: string[] = []
  let start = 0
  while (start < text.length) {
    const end = partEnd(text, start, maxBytes)
    parts.push(text.slice(start, end))
    start = end
  }
  return parts
}

function partEnd(text: string, start: number, maxBytes: number): number {
  let bytes = 0
  let end = start
  while (end < text.length) {
    const code = text.codePointAt(end) as number
    bytes += escapedBytes(code)
    if (bytes > maxBytes) break
    end += code > 0xffff ? 2 : 1
  }
  if (end === text.length) return end
  // One character larger than the limit still has to go somewhere.
  if (end === start) return start + ((text.codePointAt(start) as number) > 0xffff ? 2 : 1)
  const nearest = Math.max(text.lastIndexOf('\n', end - 1), text.lastIndexOf(' ', end - 1)) + 1
  return nearest > start + (end - start) / 2 ? nearest : end
}

function escapedBytes(code: number): number {
  if (code < 0x80) return code === 0x26 || code === 0x0d ? 5 : code === 0x3c || code === 0x3e ? 4 : 1
  return code < 0x800 ? 2 : code < 0x10000 ? 3 : 4
}

/** True when the XML takes more than `maxBytes` in UTF-8. */
export function exceeds(xml: string, maxBytes: number): boolean {
  return xml.length > maxBytes || (xml.length * 3 > maxBytes && Buffer.byteLength(xml) > maxBytes)
}
