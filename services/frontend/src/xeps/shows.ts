// RFC 6121 section 4.7.2.1: the show of a presence, in both directions.

import { Show } from '@spectrum/messages'
import { childElements, type Element, textOf } from '@spectrum/xmpp'

const shows: Readonly<Record<string, Show>> = {
  chat: Show.SHOW_CHAT,
  away: Show.SHOW_AWAY,
  xa: Show.SHOW_XA,
  dnd: Show.SHOW_DND,
}
const names: Readonly<Partial<Record<Show, string>>> = {
  [Show.SHOW_CHAT]: 'chat',
  [Show.SHOW_AWAY]: 'away',
  [Show.SHOW_XA]: 'xa',
  [Show.SHOW_DND]: 'dnd',
}

/** What an available presence shows. XEP-0186's invisibility counts only in the form that clients send to gateways. */
export function showOf(presence: Element): Show {
  const isInvisible = childElements(presence).some(
    child => child.name === 'invisible' && child.getNS()?.startsWith('urn:xmpp:invisible') === true,
  )
  if (isInvisible) return Show.SHOW_INVISIBLE
  return shows[textOf(presence, 'show')?.trim() ?? ''] ?? Show.SHOW_UNSPECIFIED
}

export const statusOf = (presence: Element): string => textOf(presence, 'status') ?? ''

/** −128 to 127; anything else counts as 0. */
export function priorityOf(presence: Element): number {
  const priority = Number.parseInt(textOf(presence, 'priority') ?? '0', 10)
  return priority >= -128 && priority <= 127 ? priority : 0
}

/** `<show/>`, nothing for plain availability. */
export function showXml(show: Show): string {
  const name = names[show]
  return name === undefined ? '' : `<show>${name}</show>`
}

/** The type of a presence with that show. */
export const presenceType = (show: Show): string =>
  show === Show.SHOW_OFFLINE || show === Show.SHOW_INVISIBLE ? 'unavailable' : ''
