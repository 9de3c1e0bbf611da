import {
  type Address,
  type Command,
  CommandFailed_Stanza,
  type Event,
  OccupantPresence,
  SendMessage_Kind,
  Show,
} from '@spectrum/messages'
import type { NetworkError } from '@spectrum/network'

/**
 * The error that answers a command, in the form that its stanza wants; undefined where XMPP knows no error (somebody
 * who leaves, a probe) or nobody asked (the router's commands).
 */
export function failureOf(command: Command, { code, message }: NetworkError): Event['event'] {
  const failure = { code, text: message }
  const { stanzaId } = command
  switch (command.command?.$case) {
    case 'sendMessage': {
      const { to, kind } = command.command.value
      return failed(
        CommandFailed_Stanza.STANZA_MESSAGE,
        stanzaId,
        to,
        failure,
        kind === SendMessage_Kind.KIND_GROUPCHAT,
      )
    }
    case 'setSubject':
      return failed(CommandFailed_Stanza.STANZA_MESSAGE, stanzaId, command.command.value.room, failure, true)
    case 'joinRoom': {
      const value = { from: command.command.value.room, show: Show.SHOW_OFFLINE, stanzaId, refused: failure }
      return { $case: 'occupantPresence', value: OccupantPresence.create(value) }
    }
    case 'setPresence':
      if (command.command.value.show === Show.SHOW_OFFLINE) return undefined
      return failed(CommandFailed_Stanza.STANZA_PRESENCE, stanzaId, gateway, failure, false)
    default:
      return undefined
  }
}

const gateway: Address = { name: '', node: '', resource: '' }

function failed(
  stanza: CommandFailed_Stanza,
  stanzaId: string,
  from: Address | undefined,
  failure: { code: string; text: string },
  isGroupchat: boolean,
): Event['event'] {
  return { $case: 'commandFailed', value: { stanza, stanzaId, from, failure, isGroupchat } }
}
