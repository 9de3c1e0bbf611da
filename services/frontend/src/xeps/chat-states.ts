// XEP-0085: Chat State Notifications

import { ChatState } from '@spectrum/messages'
import { type Element, messageStanza } from '@spectrum/xmpp'
import { defineXep } from '../xep.ts'

const xmlns = 'http://jabber.org/protocol/chatstates'

const names: Readonly<Partial<Record<ChatState, string>>> = {
  [ChatState.CHAT_STATE_ACTIVE]: 'active',
  [ChatState.CHAT_STATE_COMPOSING]: 'composing',
  [ChatState.CHAT_STATE_PAUSED]: 'paused',
}

export const chatStates = defineXep({
  number: 85,
  version: '2.1',
  status: 'partial',
  announce: kind => (kind === 'contact' ? [xmlns] : []),
  inbound: {
    chatStateChanged: ({ from, state, isGroupchat }, context) => {
      const jid = context.jid(from)
      const name = names[state]
      if (jid === undefined || name === undefined) return []
      // XEP-0334: nobody wants to read in tomorrow's archive that somebody typed.
      const children = `<${name} xmlns="${xmlns}"/><no-store xmlns="urn:xmpp:hints"/>`
      return [messageStanza({ from: jid, type: isGroupchat ? 'groupchat' : 'chat' }, children)]
    },
  },
})

/** Rides on every message of a conversation. */
export const activeXml = `<active xmlns="${xmlns}"/>`

/** The state that an element of a message tells. `inactive` and `gone` have no counterpart. */
export function chatStateOf({ name, attrs }: Element): ChatState {
  if (attrs.xmlns !== xmlns) return ChatState.CHAT_STATE_UNSPECIFIED
  if (name === 'active') return ChatState.CHAT_STATE_ACTIVE
  if (name === 'composing') return ChatState.CHAT_STATE_COMPOSING
  return name === 'paused' ? ChatState.CHAT_STATE_PAUSED : ChatState.CHAT_STATE_UNSPECIFIED
}
