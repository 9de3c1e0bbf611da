import { type IrcClient, waitUntil, type XmppClient } from '@spectrum/stack'
import { bareOf } from './muc.ts'

/** `prefix-1` … `prefix-n`: texts whose order and number can be told. */
export const numbered = (prefix: string, count: number, from = 1): string[] =>
  Array.from({ length: count }, (_, index) => `${prefix}-${from + index}`)

/** What the observer heard that begins with this prefix, in order. */
export function heardOnIrc(irc: IrcClient, prefix: string): string[] {
  return irc.lines.flatMap(line => / PRIVMSG \S+ :(.*)$/.exec(line)?.[1] ?? []).filter(text => text.startsWith(prefix))
}

/** Bodies that begin with this prefix, as they came to the client from a room, in order. */
export function heardOnXmpp(client: XmppClient, room: string, prefix: string): string[] {
  return client.stanzas
    .filter(
      stanza => stanza.getName() === 'message' && stanza.attrs.type !== 'error' && bareOf(stanza.attrs.from) === room,
    )
    .map(stanza => stanza.getChildText('body') ?? '')
    .filter(body => body.startsWith(prefix))
}

/** Waits until the last of the texts has been heard, and returns all that was. */
export async function heard(texts: () => string[], last: string, deadlineMs = 60_000): Promise<string[]> {
  await waitUntil(() => texts().includes(last), {
    deadlineMs,
    describe: () => `${last} was not heard; heard: ${summary(texts())}`,
  })
  return texts()
}

function summary(texts: readonly string[]): string {
  return `${texts.length} in all, the last ones ${texts.slice(-5).join(', ')}`
}
