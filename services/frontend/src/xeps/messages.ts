// RFC 6121 section 5: messages, with what may ride on them

import {
  ChatState,
  type CommandFailed,
  CommandFailed_Stanza,
  fromFailure,
  type MessageReceived,
  MessageReceived_Kind,
  SendMessage_Kind,
} from '@spectrum/messages'
import { failures, NetworkError } from '@spectrum/network'
import {
  childOf,
  type Element,
  errorElement,
  escapeText,
  iqStanza,
  messageStanza,
  presenceStanza,
  splitText,
  toXml,
  type UnaddressedStanza,
} from '@spectrum/xmpp'
import type { Gateway } from '../gateway.ts'
import { maxIdLength, type OutboundStanza } from '../outbound-stanza.ts'
import { cleanText, type RenderContext } from '../rendering.ts'
import { defineXep } from '../xep.ts'
import { activeXml, chatStateOf } from './chat-states.ts'
import { delayXml } from './delay.ts'
import { receiptsNs } from './receipts.ts'
import { originIdXml, stanzaIdsNs, stanzaIdXml } from './stanza-ids.ts'
import { maxXhtmlLength, xhtmlOf, xhtmlXml } from './xhtml.ts'

/** A body is split into several messages beyond this many bytes of XML. */
const maxBodyBytes = 60 * 1024

export const messages = defineXep({
  number: 0,
  version: 'RFC 6121',
  status: 'complete',
  message: outbound,
  inbound: {
    messageReceived: inbound,
    commandFailed: failed,
  },
})

function outbound(stanza: OutboundStanza, gateway: Gateway): boolean {
  const parts = readParts(stanza.element)
  if (parts.body === '') {
    if (parts.isUnsupported || isSubjectOfNoRoom(stanza)) return false
    return gateway.ignore(parts.chatState === ChatState.CHAT_STATE_UNSPECIFIED ? 'message-without-body' : 'chat-state')
  }
  if (stanza.to.name === '') {
    gateway.fail(stanza, new NetworkError('not-supported', 'The gateway itself does not take messages.'))
    return true
  }
  if (parts.originId.length > maxIdLength) {
    gateway.ignore('id-too-long')
    gateway.fail(stanza, new NetworkError('too-large', 'The id of this message is too long.'))
    return true
  }
  if (parts.xhtml.length > maxXhtmlLength) {
    // The body says the same.
    gateway.ignore('xhtml-too-long')
    parts.xhtml = ''
  }
  const isGroupchat = stanza.type === 'groupchat'
  gateway.command(
    stanza,
    {
      $case: 'sendMessage',
      value: {
        to: stanza.to,
        kind: isGroupchat ? SendMessage_Kind.KIND_GROUPCHAT : SendMessage_Kind.KIND_UNSPECIFIED,
        body: parts.body,
        xhtml: parts.xhtml,
        originId: parts.originId,
        wantsReceipt: parts.wantsReceipt && stanza.id !== '' && !isGroupchat,
        chatState: parts.chatState,
      },
    },
    { session: 'required' },
  )
  return true
}

/** A subject is set in a room, and who sets one waits for it: the gateway itself has none. */
const isSubjectOfNoRoom = ({ type, to, element }: OutboundStanza): boolean =>
  type === 'groupchat' && to.name === '' && childOf(element, 'subject') !== undefined

interface Parts {
  body: string
  xhtml: string
  originId: string
  wantsReceipt: boolean
  chatState: ChatState
  /** Something that asks for an answer and that nobody here understands: an invitation, a form. */
  isUnsupported: boolean
}

// One walk over the children: this is the hot path of everything that users say.
function readParts(element: Element): Parts {
  const parts: Parts = {
    body: '',
    xhtml: '',
    originId: '',
    wantsReceipt: false,
    chatState: ChatState.CHAT_STATE_UNSPECIFIED,
    isUnsupported: false,
  }
  for (const child of element.children) {
    if (typeof child === 'string') continue
    switch (child.name) {
      case 'body':
        // Bodies in several languages: the first one counts.
        if (parts.body === '') parts.body = child.getText()
        break
      case 'html':
        parts.xhtml = xhtmlOf(child)
        break
      case 'request':
        if (child.attrs.xmlns === receiptsNs) parts.wantsReceipt = true
        break
      case 'origin-id':
        if (child.attrs.xmlns === stanzaIdsNs) parts.originId = String(child.attrs.id ?? '')
        break
      case 'x':
        parts.isUnsupported = true
        break
      default:
        if (parts.chatState === ChatState.CHAT_STATE_UNSPECIFIED) parts.chatState = chatStateOf(child)
    }
  }
  return parts
}

const types: Readonly<Partial<Record<MessageReceived_Kind, string>>> = {
  [MessageReceived_Kind.KIND_UNSPECIFIED]: 'chat',
  [MessageReceived_Kind.KIND_GROUPCHAT]: 'groupchat',
  [MessageReceived_Kind.KIND_HEADLINE]: 'headline',
}

function inbound(value: MessageReceived, context: RenderContext): UnaddressedStanza[] {
  if (value.isCarbon) {
    // A carbon needs the right to speak as the user (XEP-0356).
    context.drop('carbon')
    return []
  }
  const from = context.jid(value.from)
  if (from === undefined) return []
  const type = types[value.kind] ?? ''
  const id = value.id === '' ? context.event.key : value.id
  const body = cleanText(value.body, context)
  const extras = extrasXml(value, type, from, context)
  const bodies = splitText(body, maxBodyBytes)
  const [first = ''] = bodies
  if (bodies.length === 1) {
    return [messageStanza({ from, id, type }, bodyXml(first) + xhtmlXml(value.xhtml, context) + extras)]
  }
  context.repair('body-split')
  return bodies.map((part, index) =>
    messageStanza({ from, id: index === 0 ? id : `${id}-${index + 1}`, type }, bodyXml(part) + extras),
  )
}

const bodyXml = (body: string): string => `<body>${escapeText(body)}</body>`

function extrasXml(value: MessageReceived, type: string, from: string, context: RenderContext): string {
  let extras = ''
  const bare = value.from === undefined ? from : (context.addresses.bare(value.from) ?? from)
  if (value.delayedAtMs !== undefined) extras += delayXml(value.delayedAtMs, bare)
  if (value.originId !== '') extras += originIdXml(value.originId)
  if (value.networkId !== '' && type === 'groupchat') extras += stanzaIdXml(value.networkId, bare)
  if (value.isPrivate) extras += '<x xmlns="http://jabber.org/protocol/muc#user"/>'
  if (type === 'chat') extras += activeXml
  for (const { url, description } of value.attachments) {
    // XEP-0066: Out of Band Data
    const desc = description === '' ? '' : `<desc>${escapeText(description)}</desc>`
    extras += `<x xmlns="jabber:x:oob"><url>${escapeText(url)}</url>${desc}</x>`
  }
  return extras
}

function failed(
  { stanza, stanzaId, from, failure, isGroupchat }: CommandFailed,
  context: RenderContext,
): UnaddressedStanza[] {
  const address = from !== undefined && isGroupchat ? { ...from, resource: '' } : from
  const jid = context.jid(address)
  if (jid === undefined || failure === undefined) return []
  const [type, condition] = failures[fromFailure(failure).code].stanza
  const children = toXml(errorElement({ type, condition, text: failure.text.slice(0, 1_000) }))
  const head = { from: jid, id: stanzaId, type: 'error' }
  switch (stanza) {
    case CommandFailed_Stanza.STANZA_IQ:
      return [iqStanza(head, children)]
    case CommandFailed_Stanza.STANZA_PRESENCE:
      return [presenceStanza(head, children)]
    default:
      return [messageStanza(head, children)]
  }
}
