// XEP-0045: Multi-User Chat

import { Affiliation, fromFailure, type OccupantPresence, Role, Show } from '@spectrum/messages'
import { failures, NetworkError } from '@spectrum/network'
import {
  childOf,
  type Element,
  errorElement,
  escapeAttribute,
  messageStanza,
  presenceStanza,
  textOf,
  toXml,
  type UnaddressedStanza,
} from '@spectrum/xmpp'
import type { Gateway } from '../gateway.ts'
import type { OutboundStanza } from '../outbound-stanza.ts'
import { type RenderContext, shortElement, shortText } from '../rendering.ts'
import { defineXep } from '../xep.ts'
import { delayXml } from './delay.ts'
import { presenceType, showOf, showXml, statusOf } from './shows.ts'

const muc = 'http://jabber.org/protocol/muc'
const mucUser = `${muc}#user`

export const rooms = defineXep({
  number: 45,
  version: '1.35.1',
  status: 'partial',
  announce: (kind, manifest) => (kind === 'room' || (kind === 'gateway' && manifest?.hasRooms === true) ? [muc] : []),
  presence: (stanza, gateway) => (stanza.to.name !== '' || isRoomJoin(stanza)) && outboundPresence(stanza, gateway),
  message: (stanza, gateway) => stanza.to.name !== '' && outboundMessage(stanza, gateway),
  iqs: [
    { type: 'get', name: 'query', xmlns: `${muc}#owner`, answer: unsupported },
    { type: 'set', name: 'query', xmlns: `${muc}#owner`, answer: unsupported },
    { type: 'get', name: 'query', xmlns: `${muc}#admin`, answer: unsupported },
    { type: 'set', name: 'query', xmlns: `${muc}#admin`, answer: unsupported },
  ],
  inbound: {
    occupantPresence: (value, context) => inboundPresence(value, context),
    subjectChanged: ({ from, subject, delayedAtMs, id }, context) => {
      const jid = context.jid(from)
      if (jid === undefined) return []
      // Clients take a message for a subject by this element, so that it must be there even when empty (section 8.1).
      const text = `<subject>${shortText(subject, context)}</subject>`
      const room = from === undefined ? undefined : context.addresses.bare(from)
      const children = text + delayXml(delayedAtMs, room ?? jid)
      return [messageStanza({ from: jid, id: id || context.event.key, type: 'groupchat' }, children)]
    },
  },
})

/** Somebody enters a room, or what they take for one. */
export const isRoomJoin = ({ type, element, to }: OutboundStanza): boolean =>
  type === '' && to.resource !== '' && childOf(element, 'x', muc) !== undefined

function outboundPresence(stanza: OutboundStanza, gateway: Gateway): boolean {
  const { element, to } = stanza
  const mucElement = stanza.type === '' ? childOf(element, 'x', muc) : undefined
  const { manifest } = gateway.parts
  const isRoom = to.name === '' ? false : manifest.isRoom(to.name)
  if (isRoom === false && mucElement !== undefined) {
    // A client that joins waits until it is answered.
    const hint = manifest.current?.roomHint ?? ''
    gateway.fail(stanza, new NetworkError('not-found', `This address is no room. ${hint}`.trimEnd()))
    return true
  }
  if (isRoom === false || (stanza.type !== '' && stanza.type !== 'unavailable')) return false
  if (to.resource === '') {
    if (mucElement === undefined) return false
    // Section 7.2.1: a join without a nick.
    gateway.fail(stanza, new NetworkError('bad-address', 'A nickname is needed to join.'))
    return true
  }
  if (stanza.type === 'unavailable') {
    const value = { room: to, status: statusOf(element) }
    gateway.command(stanza, { $case: 'leaveRoom', value }, { session: 'optional' })
    return true
  }
  join(stanza, mucElement, gateway)
  return true
}

function join(stanza: OutboundStanza, mucElement: Element | undefined, gateway: Gateway): void {
  const password = mucElement === undefined ? undefined : textOf(mucElement, 'password')
  let sealed: ReturnType<typeof gateway.parts.seal> | undefined
  try {
    sealed = password === undefined || password === '' ? undefined : gateway.parts.seal(password)
  } catch (error) {
    gateway.fail(stanza, NetworkError.from(error))
    return
  }
  const value = {
    room: stanza.to,
    password: sealed,
    hasMucElement: mucElement !== undefined,
    maxHistoryStanzas: mucElement && historyOf(mucElement),
    show: showOf(stanza.element),
    status: statusOf(stanza.element),
    inDoubt: gateway.parts.isInDoubt(),
  }
  // An update of somebody who is not signed in is no reason to sign in: only a join is.
  const session = mucElement === undefined ? 'required' : 'login'
  gateway.command(stanza, { $case: 'joinRoom', value }, { session, nickHint: stanza.to.resource })
}

/** Section 7.2.14. */
function historyOf(mucElement: Element): number | undefined {
  const { maxstanzas, maxchars } = childOf(mucElement, 'history')?.attrs ?? {}
  // Characters are no stanzas; but who wants none of them wants no history.
  if (maxchars === '0') return 0
  const most = Number.parseInt(String(maxstanzas ?? ''), 10)
  return Number.isSafeInteger(most) && most >= 0 ? Math.min(most, 0xffff_ffff) : undefined
}

function outboundMessage(stanza: OutboundStanza, gateway: Gateway): boolean {
  const { element, to } = stanza
  if (stanza.type !== 'groupchat') return false
  if (to.resource !== '') {
    // Section 7.4: messages of type groupchat go to the room itself.
    gateway.fail(stanza, new NetworkError('bad-request', 'A message to all goes to the room, not to an occupant.'))
    return true
  }
  const subject = textOf(element, 'subject')
  // Section 8.1: a subject with a body is a message that has a subject, not a change.
  if (subject === undefined || textOf(element, 'body') !== undefined) return false
  gateway.command(stanza, { $case: 'setSubject', value: { room: to, subject } }, { session: 'required' })
  return true
}

function unsupported(): never {
  throw new NetworkError('not-supported', 'Rooms of this network are not administered from here.')
}

const affiliations: Readonly<Partial<Record<Affiliation, string>>> = {
  [Affiliation.AFFILIATION_OWNER]: 'owner',
  [Affiliation.AFFILIATION_ADMIN]: 'admin',
  [Affiliation.AFFILIATION_MEMBER]: 'member',
  [Affiliation.AFFILIATION_OUTCAST]: 'outcast',
}
const roles: Readonly<Partial<Record<Role, string>>> = {
  [Role.ROLE_MODERATOR]: 'moderator',
  [Role.ROLE_PARTICIPANT]: 'participant',
  [Role.ROLE_VISITOR]: 'visitor',
}

function inboundPresence(value: OccupantPresence, context: RenderContext): UnaddressedStanza[] {
  const jid = context.jid(value.from)
  if (jid === undefined || value.from === undefined) return []
  if (value.refused !== undefined) {
    const [type, condition] = failures[fromFailure(value.refused).code].stanza
    const error = errorElement({ type, condition, text: shortenedText(value.refused.text) })
    error.attrs.by = context.addresses.bare(value.from)
    const children = `<x xmlns="${muc}"/>${toXml(error)}`
    return [presenceStanza({ from: jid, id: value.stanzaId, type: 'error' }, children)]
  }
  const children =
    showXml(value.show) +
    shortElement('status', value.status, context) +
    avatarXml(value.avatarHash) +
    `<x xmlns="${mucUser}">${itemXml(value, context)}${value.codes.map(code => `<status code="${code}"/>`).join('')}</x>`
  return [presenceStanza({ from: jid, id: value.stanzaId, type: presenceType(value.show) }, children)]
}

const shortenedText = (text: string): string => (text.length > 1_000 ? `${text.slice(0, 1_000)}…` : text)

function itemXml(value: OccupantPresence, context: RenderContext): string {
  const role = value.show === Show.SHOW_OFFLINE && value.newNick === '' ? 'none' : (roles[value.role] ?? 'none')
  let item = `<item affiliation="${affiliations[value.affiliation] ?? 'none'}" role="${role}"`
  const person =
    value.jidName === '' ? undefined : context.addresses.bare({ name: value.jidName, node: '', resource: '' })
  if (person !== undefined) item += ` jid="${escapeAttribute(person)}"`
  if (value.newNick !== '') item += ` nick="${escapeAttribute(value.newNick)}"`
  const actor = value.actor === '' ? '' : `<actor nick="${escapeAttribute(value.actor)}"/>`
  const children = actor + shortElement('reason', value.reason, context)
  return children === '' ? `${item}/>` : `${item}>${children}</item>`
}

/** XEP-0153. */
export const avatarXml = (hash: string): string =>
  hash === '' ? '' : `<x xmlns="vcard-temp:x:update"><photo>${escapeAttribute(hash)}</photo></x>`
