import { escapeAttribute, escapeText } from './xml.ts'

/** Attributes of a stanza that is written as text. Empty `id` and `type` are left out. */
export interface StanzaHead {
  readonly from: string
  readonly id?: string
  readonly type?: string
}

/** A stanza as text, ready but for its recipient: one line for many resources is put together once. */
export interface UnaddressedStanza {
  /** Up to the place of the `to` attribute. */
  readonly open: string
  readonly rest: string
}

/** `<message>` around children that are XML already. The hot kinds of stanza are put together as text: no tree, no walk. */
export function messageStanza(head: StanzaHead, children: string): UnaddressedStanza {
  return stanza('message', head, children)
}

/** `<presence>` around children that are XML already. */
export function presenceStanza(head: StanzaHead, children: string): UnaddressedStanza {
  return stanza('presence', head, children)
}

/** `<iq>` of type result or error around children that are XML already. */
export function iqStanza(head: StanzaHead, children: string): UnaddressedStanza {
  return stanza('iq', head, children)
}

/** The stanza to a JID, as XML. */
export function addressTo({ open, rest }: UnaddressedStanza, to: string): string {
  return `${open} to="${escapeAttribute(to)}"${rest}`
}

function stanza(name: string, { from, id, type }: StanzaHead, children: string): UnaddressedStanza {
  let rest = ''
  if (id !== undefined && id !== '') rest += ` id="${escapeAttribute(id)}"`
  if (type !== undefined && type !== '') rest += ` type="${type}"`
  rest += children === '' ? '/>' : `>${children}</${name}>`
  return { open: `<${name} from="${escapeAttribute(from)}"`, rest }
}

/** `<name>text</name>`, nothing when the text is empty. The name is the caller's own. */
export function textElement(name: string, text: string): string {
  return text === '' ? '' : `<${name}>${escapeText(text)}</${name}>`
}
