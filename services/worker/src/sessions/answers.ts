import {
  type Address,
  type Command,
  CommandFailed_Stanza,
  ContactPresence,
  type Event,
  OccupantPresence,
  type ProbePresence,
  SendMessage_Kind,
  Show,
} from '@spectrum/messages'
import { type FailureCode, failures, type NetworkError } from '@spectrum/network'
import type { SentStanza } from './sent-messages.ts'

/**
 * The error that answers a command, in the form that its stanza wants; undefined where XMPP knows no error (somebody
 * who leaves) or nobody asked (the router's commands). A probe that fails is answered all the same: nobody is there.
 */
export function failureOf(command: Command, { code, message }: NetworkError): Event['event'] {
  const failure: { code: FailureCode; text: string } = { code, text: message }
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
    case 'selfPing':
      // Who has no session is in no room.
      if (code === 'signed-out') failure.code = 'not-joined'
      return failed(CommandFailed_Stanza.STANZA_IQ, stanzaId, command.command.value.room, failure, false)
    case 'joinRoom': {
      const value = { from: command.command.value.room, show: Show.SHOW_OFFLINE, stanzaId, refused: failure }
      return { $case: 'occupantPresence', value: OccupantPresence.create(value) }
    }
    case 'setPresence':
      if (command.command.value.show === Show.SHOW_OFFLINE) return undefined
      return failed(CommandFailed_Stanza.STANZA_PRESENCE, stanzaId, gateway, failure, false)
    case 'probePresence':
      // Too much to do is no reason to call somebody absent.
      return failures[code].recovery === 'retry' ? undefined : absence(command.command.value)
    default:
      return undefined
  }
}

/** The answer to a presence probe that finds nobody. */
export function absence({ of }: ProbePresence): NonNullable<Event['event']> {
  const offline = { show: Show.SHOW_OFFLINE, status: '' }
  return of === undefined || of.name === ''
    ? { $case: 'gatewayPresence', value: offline }
    : { $case: 'contactPresence', value: ContactPresence.create({ from: of, ...offline }) }
}

/** The error for a message that the network refused after it had taken it. */
export function messageFailure(
  { stanzaId, to, isGroupchat }: SentStanza,
  failure: { code: FailureCode; text: string },
): NonNullable<Event['event']> {
  return failed(CommandFailed_Stanza.STANZA_MESSAGE, stanzaId, to, failure, isGroupchat)
}

const gateway: Address = { name: '', node: '', resource: '' }

function failed(
  stanza: CommandFailed_Stanza,
  stanzaId: string,
  from: Address | undefined,
  failure: { code: string; text: string },
  isGroupchat: boolean,
): NonNullable<Event['event']> {
  return { $case: 'commandFailed', value: { stanza, stanzaId, from, failure, isGroupchat } }
}
