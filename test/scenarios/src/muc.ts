import type { XmppClient } from '@spectrum/stack'

/** A stanza as the test clients hand it over. */
export type Stanza = XmppClient['stanzas'][number]

/** The JID without its resource. */
export const bareOf = (jid: string | undefined): string => (jid ?? '').split('/', 1)[0] ?? ''

/** The resource of a JID: in a room, the nick. */
export const resourceOf = (jid: string | undefined): string => (jid ?? '').split('/').slice(1).join('/')

const mucUser = 'http://jabber.org/protocol/muc#user'

/** The status codes of an occupant's presence (XEP-0045 section 15.6), in the order in which they stand. */
export function codesOf(stanza: Stanza): string[] {
  const statuses = stanza.getChild('x', mucUser)?.getChildren('status') ?? []
  return statuses.map(({ attrs }) => String(attrs.code))
}

/** The `<item/>` of an occupant's presence. */
export function itemOf(stanza: Stanza): Stanza | undefined {
  return stanza.getChild('x', mucUser)?.getChild('item')
}

/** The first presence or subject of a room on the way to this client is taken as the beginning of what it was told. */
export function toldOf(client: XmppClient, room: string): Stanza[] {
  return client.stanzas.filter(({ attrs }) => bareOf(attrs.from) === room)
}

/** Asks for the presence of an occupant: by nick, and with these status codes. */
export function presenceOf(
  jid: string,
  wanted: { type?: 'unavailable' | 'error'; codes?: readonly string[] } = {},
): (stanza: Stanza) => boolean {
  const question = (stanza: Stanza) =>
    stanza.getName() === 'presence' &&
    stanza.attrs.from === jid &&
    stanza.attrs.type === wanted.type &&
    (wanted.codes ?? []).every(code => codesOf(stanza).includes(code))
  // What a failed expectation prints.
  question.toString = () => `presence from ${jid} ${JSON.stringify(wanted)}`
  return question
}

/** Asks for a message of a room or of somebody in it. */
export function messageOf(
  jid: string,
  wanted: { type?: string; body?: string; subject?: string; id?: string } = {},
): (stanza: Stanza) => boolean {
  const question = (stanza: Stanza) =>
    stanza.getName() === 'message' &&
    stanza.attrs.from === jid &&
    (wanted.type === undefined || stanza.attrs.type === wanted.type) &&
    (wanted.id === undefined || stanza.attrs.id === wanted.id) &&
    (wanted.body === undefined || stanza.getChildText('body') === wanted.body) &&
    (wanted.subject === undefined || stanza.getChildText('subject') === wanted.subject)
  question.toString = () => `message from ${jid} ${JSON.stringify(wanted)}`
  return question
}

/** The type and defined condition of an error (RFC 6120 section 8.3): `auth/forbidden`. */
export function errorOf(stanza: Stanza): string {
  const error = stanza.getChild('error')
  const condition = error?.getChildElements().find(child => child.getName() !== 'text')
  return `${error?.attrs.type}/${condition?.getName()}`
}

/** Asks for the push by which the server tells of a changed subscription (RFC 6121 section 3.1.5). */
export function rosterPush(jid: string, subscription: string): (stanza: Stanza) => boolean {
  const question = (stanza: Stanza) => {
    const item = stanza.getChild('query', 'jabber:iq:roster')?.getChild('item')
    return stanza.attrs.type === 'set' && item?.attrs.jid === jid && item?.attrs.subscription === subscription
  }
  question.toString = () => `roster push of ${jid} with ${subscription}`
  return question
}
