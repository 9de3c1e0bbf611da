import { createElement, Element, parse } from 'ltx'
import { dropIllegal, escapeAttribute, escapeText } from './xml.ts'

export { Element }

/** A child of an element under construction; `undefined` and `false` are left out. */
export type Child = Element | string | undefined | false

/** Builds an element: `xml('query', { xmlns }, xml('item', …))`. Attributes that are `undefined` are left out. */
export function xml(name: string, attributes: Record<string, string | undefined> = {}, ...children: Child[]): Element {
  const given: Record<string, string> = {}
  for (const [key, value] of Object.entries(attributes)) if (value !== undefined) given[key] = value
  return createElement(name, given, ...children.filter(child => child !== undefined && child !== false))
}

/** The element as strict XML: illegal characters dropped, everything escaped. */
export function toXml(element: Element): string {
  const name = dropIllegal(element.name)
  let text = `<${name}`
  for (const [key, value] of Object.entries(element.attrs)) {
    if (value !== undefined && value !== null) text += ` ${key}="${escapeAttribute(String(value))}"`
  }
  if (element.children.length === 0) return `${text}/>`
  text += '>'
  for (const child of element.children) text += typeof child === 'string' ? escapeText(child) : toXml(child)
  return `${text}</${name}>`
}

/** The first child element of that name and namespace. Faster than the library's: prefixes are rare in stanzas. */
export function childOf(parent: Element, name: string, xmlns?: string): Element | undefined {
  for (const child of parent.children) {
    if (typeof child === 'string') continue
    if ((child.name === name || child.getName() === name) && (xmlns === undefined || child.getNS() === xmlns))
      return child
  }
  return undefined
}

/** The text of a child element, `undefined` when there is no such child. */
export function textOf(parent: Element, name: string, xmlns?: string): string | undefined {
  const child = childOf(parent, name, xmlns)
  if (child === undefined) return undefined
  const [only] = child.children
  return child.children.length === 1 && typeof only === 'string' ? only : child.getText()
}

/** The child elements, without text. */
export function childElements(parent: Element): Element[] {
  return parent.children.filter(child => typeof child !== 'string')
}

/** Reads the first element of a text; `undefined` when it is not XML, or begins with anything else. */
export function parseElement(text: string): Element | undefined {
  // The library takes seconds to find out that a large text has no element.
  if (!text.startsWith('<')) return undefined
  try {
    return parse(text)
  } catch {
    // The library says no more than that it is not XML.
    return undefined
  }
}
