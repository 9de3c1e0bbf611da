import { escapeAttribute, escapeText } from './xml.ts'

/** Addressing of a stanza that is written as text. Empty `id` and `type` are left out. */
export interface StanzaHead {
  readonly from: string
  readonly to: string
  readonly id?: string
  readonly type?: string
}

/** `<message>` around children that are XML already. The hot kinds of stanza are put together as text: no tree, no walk. */
export function messageXml(head: StanzaHead, children: string): string {
  return `<message${attributes(head)}>${children}</message>`
}

/** `<presence>` around children that are XML already. */
export function presenceXml(head: StanzaHead, children: string): string {
  const open = `<presence${attributes(head)}`
  return children === '' ? `${open}/>` : `${open}>${children}</presence>`
}

function attributes({ from, to, id, type }: StanzaHead): string {
  let text = ` from="${escapeAttribute(from)}" to="${escapeAttribute(to)}"`
  if (id !== undefined && id !== '') text += ` id="${escapeAttribute(id)}"`
  if (type !== undefined && type !== '') text += ` type="${type}"`
  return text
}

/** `<name>text</name>`, nothing when the text is empty. The name is the caller's own. */
export function textElement(name: string, text: string): string {
  return text === '' ? '' : `<${name}>${escapeText(text)}</${name}>`
}
