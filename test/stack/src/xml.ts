import { Element, escapeXML, parse } from 'ltx'

/** An XML literal. What is put into it is escaped, except elements. */
export function xml(strings: TemplateStringsArray, ...values: unknown[]): string {
  const insert = (value: unknown) => (value instanceof Element ? value.toString() : escapeXML(String(value)))
  return strings.reduce((text, part, index) => `${text}${insert(values[index - 1])}${part}`).trim()
}

/** What a stanza is compared with: an XML literal that must be contained in it, or a question about it. */
export type Pattern = string | ((stanza: Element) => boolean)

/**
 * True when the pattern is contained in the element: same name and namespace, every attribute of the pattern with the
 * same value, every child of the pattern contained in some child, in any order, and the same text where the pattern has
 * text. What the element has beyond that does not matter. A child without a namespace of its own in the pattern
 * matches whatever namespace the stanza gives to its plain children (`<body/>`).
 */
export function matches(pattern: Pattern, element: Element): boolean {
  if (typeof pattern === 'function') return pattern(element)
  return contains(parse(pattern), element)
}

function contains(pattern: Element, element: Element): boolean {
  if (pattern.getName() !== element.getName()) return false
  const xmlns = pattern.getNS()
  if (xmlns !== undefined && xmlns !== element.getNS()) return false
  for (const [name, value] of Object.entries(pattern.attrs)) {
    if (name === 'xmlns' || name.startsWith('xmlns:')) continue
    if (element.attrs[name] !== value) return false
  }
  const text = pattern.getText().trim()
  if (text !== '' && text !== element.getText().trim()) return false
  // Two equal children in the pattern ask for two in the element.
  const left = element.getChildElements()
  return pattern.getChildElements().every(child => {
    const index = left.findIndex(candidate => contains(child, candidate))
    if (index < 0) return false
    left.splice(index, 1)
    return true
  })
}
