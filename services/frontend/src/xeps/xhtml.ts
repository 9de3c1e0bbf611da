// XEP-0071: XHTML-IM

import { childOf, type Element, parseElement, toXml, Element as XmlElement } from '@spectrum/xmpp'
import type { RenderContext } from '../rendering.ts'
import { defineXep } from '../xep.ts'

const xmlns = 'http://jabber.org/protocol/xhtml-im'
const xhtmlNs = 'http://www.w3.org/1999/xhtml'
/** Characters of XML; formatting beyond it is left out. */
export const maxXhtmlLength = 32_768

// Section 7: what the profile has; nothing else may come from a network into a client that might show it.
const elements = new Set(
  'a blockquote body br cite code em h1 h2 h3 img li ol p pre q span strong u ul b i s del'.split(' '),
)
const attributes = new Set(['style', 'href', 'src', 'alt', 'title', 'height', 'width', 'type'])
const links = /^(?:https?|xmpp|mailto):/i

export const xhtml = defineXep({
  number: 71,
  version: '1.5.4',
  status: 'partial',
  announce: kind => (kind === 'contact' ? [xmlns] : []),
})

/** The content of the body, as XML; empty when there is none. */
export function xhtmlOf(html: Element): string {
  if (html.attrs.xmlns !== xmlns) return ''
  const body = childOf(html, 'body')
  if (body === undefined) return ''
  const text = toXml(reduced(body))
  return text.slice(text.indexOf('>') + 1, text.endsWith('/>') ? text.length : -'</body>'.length)
}

/** The formatted form of a message; nothing when it is empty, no XML, or too long. */
export function xhtmlXml(content: string, context: RenderContext): string {
  if (content === '') return ''
  const body = content.length > maxXhtmlLength ? undefined : parseElement(`<body>${content}</body>`)
  if (body === undefined) {
    context.repair('xhtml-dropped')
    return ''
  }
  const clean = reduced(body)
  clean.attrs.xmlns = xhtmlNs
  return `<html xmlns="${xmlns}">${toXml(clean)}</html>`
}

/** A copy with the profile's elements only; of others, the content stays. */
function reduced(element: Element): Element {
  const copy = new XmlElement(element.name)
  for (const [name, value] of Object.entries(element.attrs)) {
    const isLink = name === 'href' || name === 'src'
    if (attributes.has(name) && (!isLink || links.test(String(value)))) copy.attrs[name] = String(value)
  }
  for (const child of element.children) {
    if (typeof child === 'string') copy.t(child)
    else if (elements.has(child.name)) copy.cnode(reduced(child))
    else if (child.name !== 'script' && child.name !== 'style') copy.append(...reduced(child).children)
  }
  return copy
}
