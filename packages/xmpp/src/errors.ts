import { type Element, xml } from './element.ts'
import { namespaces } from './namespaces.ts'

/** RFC 6120 section 8.3.2. */
export type ErrorType = 'auth' | 'cancel' | 'continue' | 'modify' | 'wait'

/** An error as it goes into a stanza: type, defined condition (RFC 6120 section 8.3.3) and words for a person. */
export interface StanzaError {
  readonly type: string
  readonly condition: string
  readonly text?: string
}

/** `<error/>`. `by` names the entity that refused. */
export function errorElement({ type, condition, text }: StanzaError): Element {
  return xml(
    'error',
    { type },
    xml(condition, { xmlns: namespaces.stanzas }),
    text !== undefined && text !== '' && xml('text', { xmlns: namespaces.stanzas }, text),
  )
}

/** The stanza of type error that answers another one (RFC 6120 section 8.3.1): addresses swapped, id and kind kept. */
export function errorReply(stanza: Element, error: StanzaError): Element {
  return reply(stanza, 'error', errorElement(error))
}

/** The result that answers an IQ. */
export function resultReply(iq: Element, payload?: Element): Element {
  return reply(iq, 'result', payload)
}

function reply(stanza: Element, type: string, payload: Element | undefined): Element {
  const { from, to, id } = stanza.attrs as { from?: string; to?: string; id?: string }
  return xml(stanza.getName(), { from: to, to: from, id, type }, payload)
}

/** The defined condition in an error stanza, `undefined-condition` when there is none. */
export function conditionOf(stanza: Element): string {
  const error = stanza.getChild('error')
  for (const child of error?.children ?? []) {
    if (typeof child !== 'string' && child.name !== 'text' && child.getNS() === namespaces.stanzas)
      return child.getName()
  }
  return 'undefined-condition'
}
