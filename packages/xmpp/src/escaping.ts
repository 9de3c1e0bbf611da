// XEP-0106: JID Escaping, and the older way of Spectrum 2: the last `@` of a name becomes `%`.

/**
 * How a network's name is put into the local part of a JID: `escaped` by XEP-0106, where users may also type `%` for `@`;
 * `exact` by it alone, for names that may hold a `%`; `percent` in the older way.
 */
export type NodeStyle = 'escaped' | 'exact' | 'percent'

const toEscape = /[ "&'/:<>@]|\\(?=20|22|26|27|2f|3a|3c|3e|40|5c)/g
const escaped = /\\(20|22|26|27|2f|3a|3c|3e|40|5c)/g
const escapedAt = '\\40'
const hasEscape = /\\(?:20|22|26|27|2f|3a|3c|3e|40|5c)/

/** XEP-0106 section 4.2. What else nodeprep prohibits stays, and is for it to refuse. */
export function escapeNode(name: string): string {
  return name.replace(toEscape, char => `\\${char.charCodeAt(0).toString(16)}`)
}

/** XEP-0106 section 4.3: the opposite of {@link escapeNode}, for every text. */
export function unescapeNode(node: string): string {
  return node.replace(escaped, (_, code: string) => String.fromCharCode(Number.parseInt(code, 16)))
}

/**
 * A network's name as a local part. In style `percent` the last `@` becomes `%`, and whatever else a local part
 * cannot hold is escaped; a name with a `%` behind its last `@` then comes back differently.
 */
export function nameToNode(name: string, style: NodeStyle): string {
  if (style !== 'percent') return escapeNode(name)
  const at = name.lastIndexOf('@')
  return escapeNode(at === -1 ? name : `${name.slice(0, at)}%${name.slice(at + 1)}`)
}

/**
 * The name behind a local part of an instance whose style is given. Users type both styles, so a part without any
 * escape sequence has its last `%` for `@` in either, but not in `exact`.
 */
export function nodeToName(node: string, style: NodeStyle): string {
  if (style === 'exact') return unescapeNode(node)
  if (style === 'escaped' ? hasEscape.test(node) : node.includes(escapedAt)) return unescapeNode(node)
  const percent = node.lastIndexOf('%')
  return unescapeNode(percent === -1 ? node : `${node.slice(0, percent)}@${node.slice(percent + 1)}`)
}
